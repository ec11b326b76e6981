import type { Message } from '../i18n/messages.ts'
import type { Page } from './templates.ts'

/** A view in one of its states, with what a handler would give it. */
export interface SamplePage {
  view: string
  /** What is special about it; unique within the view. */
  state: string
  page: Omit<Page, 'title' | 'notice'> & { title: string | Message; notice?: string | Message | null }
  locals: object
}
