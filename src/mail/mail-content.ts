/** What a mail says, in the order it is read; `compose` makes the text and the HTML of it. */
export interface MailContent {
  /** Never has words of other people in it: who reads only the subject cannot tell them from ours. */
  subject: string
  heading: string
  paragraphs: string[]
  /** What happened where and when: a name and its value. */
  facts?: [label: string, value: string][]
  /** What can be done about it. The words of one end in no stop, and its URL is shown. */
  buttons?: Button[]
  /** What is read last: what to do if it was somebody else. */
  closing?: string[]
}

export interface Button {
  label: string
  url: string
}
