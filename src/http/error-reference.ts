import { problemAnchor, type ProblemCode, PROBLEMS } from '../administration/problems.ts'
import { CODES, simpleAnchor, type SimpleCode } from '../api/auth/codes.ts'
import { englishTexts } from '../i18n/texts.ts'
import { END_CAUSES, type EndCause, endWords } from '../domain/endings/end-causes.ts'
import { ERROR_CODES, type Explanation, REFUSAL_REASONS, reasonAnchor } from '../oidc/pages.ts'

/** A group of the page that explains errors. */
export interface ErrorSection {
  anchor: string
  title: string
  intro: string
  entries: ErrorEntry[]
}

export interface ErrorEntry extends Explanation {
  anchor: string
  /** As it is answered or shown. */
  name: string
}

/** What a status says on a page, whatever the page. The page itself says more. */
export const HTTP_ERRORS: Record<number, Explanation & { title: string }> = {
  400: {
    title: 'Bad request',
    meaning: 'The portal could not use what the browser sent, or the browser keeps no cookies.',
    remedy: 'Go back, reload the page and try once more. Allow cookies for this site.',
  },
  401: {
    title: 'Not signed in',
    meaning: 'The user name, password or code was wrong.',
    remedy: 'Try again, or choose "Forgot password?".',
  },
  403: {
    title: 'Forbidden',
    meaning: 'Another web site tried to change something here (CSRF protection).',
    remedy:
      'Open the page on this site and try again there. Operators: the reverse proxy must not change the Origin header.',
  },
  404: {
    title: 'Not found',
    meaning: 'There is no page at this address, or the link has been used or has expired.',
    remedy: 'Check the address. Ask for a new link where it came from a mail.',
  },
  408: {
    title: 'Request timeout',
    meaning: 'The request took too long to arrive.',
    remedy: 'Check the connection and try again.',
  },
  409: {
    title: 'Conflict',
    meaning: 'Something else changed in the meantime, such as an e-mail address that is taken now.',
    remedy: 'Reload the page and try again.',
  },
  413: {
    title: 'Too large',
    meaning: 'The browser or the app sent more than 32 KiB.',
    remedy: 'Apps: send less, or a pushed authorization request.',
  },
  415: {
    title: 'Not a form',
    meaning: 'What was sent is not a form (application/x-www-form-urlencoded).',
    remedy: 'Use the form on the page.',
  },
  421: {
    title: 'Another address',
    meaning: 'The portal answers only at its own address, the one of PUBLIC_URL.',
    remedy: 'Open the portal at its own address. Operators: the reverse proxy has to pass the Host header on.',
  },
  422: {
    title: 'Something to correct',
    meaning: 'A field of the form is empty or has something that cannot be taken. The page names it.',
    remedy: 'Correct the field and send the form again.',
  },
  429: {
    title: 'Too many tries',
    meaning: 'There were too many tries in a short time, for this account or from this IP address (rate limit).',
    remedy: 'Wait as long as the page says. Operators: "gatehouse ip-block list" shows blocked IP addresses.',
  },
  431: {
    title: 'Headers too long',
    meaning: 'The headers of the request are too long, for example because of many cookies.',
    remedy: 'Remove the cookies of this site and try again.',
  },
  500: {
    title: 'Something went wrong',
    meaning: 'The portal made a mistake. The log has it under the reference of the page.',
    remedy: 'Try again. If it happens again, tell your support the reference.',
  },
  503: {
    title: 'One moment, please',
    meaning: 'The portal is very busy, or its database cannot be reached. Nothing was lost.',
    remedy: 'Try again in a few seconds.',
  },
}

export function statusAnchor(status: number): string {
  return `http-${status}`
}

/** Everything that the page explains, in its order. */
export const ERROR_SECTIONS: ErrorSection[] = [
  {
    anchor: 'pages',
    title: 'Pages',
    intro: 'What the number on an error page means. "Operators" are the people who run the portal.',
    entries: Object.entries(HTTP_ERRORS).map(([status, { title, ...explanation }]) => ({
      anchor: statusAnchor(Number(status)),
      name: `${status} ${title}`,
      ...explanation,
    })),
  },
  {
    anchor: 'apps',
    title: 'Answers to apps',
    intro: 'The error in the answer of an OAuth endpoint, or in the address that leads back to an app.',
    entries: Object.entries(ERROR_CODES).map(([code, explanation]) => ({ anchor: code, name: code, ...explanation })),
  },
  {
    anchor: 'reasons',
    title: 'Reasons of a refused refresh',
    intro: 'The reason beside invalid_grant.',
    entries: Object.entries(REFUSAL_REASONS).map(([reason, explanation]) => ({
      anchor: reasonAnchor(reason),
      name: reason,
      ...explanation,
    })),
  },
  {
    anchor: 'admin-api',
    title: 'Problems of the admin API',
    intro: 'The code in an answer of the admin API that refuses (application/problem+json).',
    entries: Object.entries(PROBLEMS).map(([code, { status, meaning, remedy }]) => ({
      anchor: problemAnchor(code as ProblemCode),
      name: `${status} ${code}`,
      meaning,
      remedy,
    })),
  },
  {
    anchor: 'simple-api',
    title: 'Answers of the simple API',
    intro: 'The error in an answer of /api/auth that refuses.',
    entries: Object.entries(CODES).map(([code, { status, meaning, remedy }]) => ({
      anchor: simpleAnchor(code as SimpleCode),
      name: `${status} ${code}`,
      meaning,
      remedy,
    })),
  },
  {
    anchor: 'causes',
    title: 'Why something ended',
    intro: 'The cause of an ending, as "gatehouse family show", the audit log and the log of the portal name it.',
    entries: Object.entries(END_CAUSES).map(([cause, { reason }]) => ({
      anchor: `cause-${cause}`,
      name: cause,
      meaning: `Users read: ${usersRead(cause as EndCause)}.`,
      remedy: `The next refresh is refused with the reason ${reason}.`,
    })),
  },
]

/** What users read of a cause: of one that they and operators have, both. */
function usersRead(cause: EndCause): string {
  const texts = englishTexts()
  const words = ['an address', null].map((address) => texts.say(endWords(cause, address)))
  return [...new Set(words)].join('; or: ')
}
