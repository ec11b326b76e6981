import type { Request, Response } from 'express'
import { type FieldProblem, Refused } from '../../domain/refused.ts'
import { takeFields } from '../kept-fields.ts'
import type { AdminSection } from '../templates.ts'
import { renderAdmin } from './admin-page.ts'

export interface FormField {
  name: string
  label: string
  hint?: string
  /** `lines` has several; a `checkbox` that is set has the value `yes`. */
  type?: 'text' | 'email' | 'lines' | 'choice' | 'checkbox'
  value?: string
  maximum?: number
  isRequired?: boolean
  choices?: { value: string; label: string }[]
}

/** A form of the administration, whose button makes the change. */
export interface Form {
  title: string
  lead?: string
  /** What there is to know before, a line each. */
  lines?: string[]
  fields: FormField[]
  action: string
  button: string
  backHref: string
}

/** Shows a form: with what was typed before a sign-in that came in between, or with what was typed and is wrong. */
export async function showForm(
  req: Request,
  res: Response,
  section: AdminSection,
  form: Form,
  problems: FieldProblem[] = [],
): Promise<void> {
  const typed = (req.method === 'POST' ? req.body : takeFields(req, res)) as Record<string, unknown> | null
  const valueOf = ({ name, value = '', type }: FormField): string => {
    if (typed === null || Object.keys(typed).length === 0) return value
    const given = typed[name]
    // A checkbox that is not set is not sent.
    return typeof given === 'string' ? given : type === 'checkbox' ? '' : value
  }
  const fields = form.fields.map((field) => ({
    type: 'text',
    hint: null,
    maximum: 300,
    isRequired: false,
    choices: [],
    ...field,
    value: valueOf(field),
  }))
  const { title, lead = null, lines = [] } = form
  await renderAdmin(
    req,
    res,
    'admin/form',
    { title, section },
    { form: { ...form, lead, lines, fields, problems }, isAdmin: true },
  )
}

/** Makes the change of a form. A refusal shows the form again. @returns what the change answered; null when it was refused */
export async function submitForm<T>(
  req: Request,
  res: Response,
  section: AdminSection,
  form: Form,
  change: () => Promise<T>,
): Promise<{ answer: T } | null> {
  try {
    return { answer: await change() }
  } catch (error) {
    if (!(error instanceof Refused) || error.code === 'not_found') throw error
    res.status(error.code === 'invalid' ? 422 : 409)
    const problems = error.problems.length > 0 ? error.problems : problemsIn(error.message)
    await showForm(req, res, section, form, problems.map(named))
    return null
  }

  /** A problem of a part belongs to its field: `profile.name` to `name`, `roles.0` to `roles`. */
  function named({ field, problem }: FieldProblem): FieldProblem {
    const parts = field.split('.')
    return { field: form.fields.find(({ name }) => parts.includes(name))?.name ?? field, problem }
  }
}

function problemsIn(text: string): FieldProblem[] {
  return text.split('\n').map((problem) => ({ field: '', problem }))
}

/** What a text field names, apart by commas, white space or lines. */
export function namesIn(text: string): string[] {
  return text.split(/[\s,]+/).filter((name) => name !== '')
}
