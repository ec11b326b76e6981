-- What clients expect that are not told (OpenID Connect Core §15.1). Apps from before keep the algorithm they have.
ALTER TABLE "apps" ALTER COLUMN "id_token_alg" SET DEFAULT 'RS256';
