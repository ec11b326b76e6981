/** The content of a mail, in the order it is read; `compose` makes its text and its HTML. */
export interface MailContent {
  /** Never contains text that other people chose: in a subject it would look like the portal's own words. */
  subject: string
  heading: string
  paragraphs: string[]
  /** What happened where and when: a name and its value. */
  facts?: [label: string, value: string][]
  /** What can be done about it. The words of one end in no stop, and its URL is shown. */
  buttons?: Button[]
  /** What is read last, such as what to do if it was not the user. */
  closing?: string[]
}

export interface Button {
  label: string
  url: string
}
