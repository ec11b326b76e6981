/**
 * A hash of a password that another system made, whose cost a sign-in can bear. The text is what `identities.password_hash` has
 * until the first sign-in replaces it. The forms are a closed list, and a stored form never changes its meaning: a new one gets a
 * new prefix.
 *
 * | hash            | form                                                                                              |
 * | --------------- | ------------------------------------------------------------------------------------------------- |
 * | bcrypt          | `$2b$<cost>$<salt and hash>`, also with `$2a$` and `$2y$`                                         |
 * | bcrypt-sha256   | `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<hash>`, of HMAC-SHA-256 (Passlib)                       |
 * | Argon2          | `$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>`, also argon2i and argon2d             |
 * | PBKDF2          | `$pbkdf2-sha256$i=<iterations>$<salt>$<hash>`, also pbkdf2-sha1 and pbkdf2-sha512                 |
 * | scrypt          | `$scrypt$ln=<log2 N>,r=<r>,p=<p>$<salt>$<hash>`                                                   |
 * | Firebase scrypt | `$firebase-scrypt$ln=<memory cost>,r=<rounds>,ss=<salt separator>,sk=<signer key>$<salt>$<hash>`  |
 */
export interface ForeignHash {
  text: string
  /** Of the bytes of this very text: a system may have hashed it without normalizing it. */
  matches(password: string): Promise<boolean>
}

/** The hash, or why it is not taken. */
export type ReadHash = ForeignHash | { problem: string }
