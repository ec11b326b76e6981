import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import type { ShownApp } from '../../administration/apps.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { act } from './act.ts'
import { renderAdmin } from './admin-page.ts'
import { APP_SECTIONS, type AppSection, fieldsOf } from './app-fields.ts'
import { showTokenKey } from './app-acts.ts'
import { appHref, appOf } from './app-page.ts'
import { type FormProblems, NO_PROBLEMS, problemsOf } from './refusals.ts'
import { type FormValues, sentValues, type SettingField, settingsIn, valuesOf } from './setting-fields.ts'

type SectionRequest = Request<{ client_id: string; section: string }>

/** GET /admin/apps/:client_id/settings/:section */
export async function editApp(req: SectionRequest, res: Response): Promise<void> {
  const { app, section, fields } = await sectionOf(req)
  await showForm(req, res, { app, section, fields, values: valuesOf(app, fields) }, NO_PROBLEMS)
}

/** POST /admin/apps/:client_id/settings/:section */
export async function updateApp(req: SectionRequest, res: Response): Promise<void> {
  const { app, section, fields } = await sectionOf(req)
  const values = sentValues(req.body, fields)
  let key
  try {
    ;({ token_key: key } = await act(req, OPERATIONS.updateApp, {
      client_id: app.client_id,
      ...settingsIn(values, fields),
    }))
  } catch (error) {
    return showForm(req, res.status(422), { app, section, fields, values }, problemsOf(error, fields))
  }
  if (key !== null) return showTokenKey(req, res, { id: app.client_id, name: app.name, key })
  redirectWith(req, res, 'app-changed', appHref(app.client_id), { values: { app: app.name } })
}

interface Form {
  app: ShownApp
  section: AppSection
  fields: SettingField[]
  values: FormValues
}

async function sectionOf(req: SectionRequest): Promise<Omit<Form, 'values'>> {
  const app = await appOf(req)
  const { section } = req.params
  const known = Object.hasOwn(APP_SECTIONS, section) ? (section as AppSection) : null
  const fields = known === null ? [] : fieldsOf(known, app.type)
  if (known === null || fields.length === 0) throw notFound()
  return { app, section: known, fields }
}

async function showForm(
  req: Request,
  res: Response,
  { app, section, fields, values }: Form,
  problems: FormProblems,
): Promise<void> {
  const { t, say } = textsOf(req)
  const title = t('admin.apps.section_title', { app: app.name, section: say(APP_SECTIONS[section].title) })
  await renderAdmin(
    req,
    res,
    'admin/settings-form',
    { title, section: 'apps' },
    {
      title,
      lead: null,
      action: appHref(app.client_id, `/settings/${section}`),
      hidden: {},
      fields,
      values,
      ...problems,
      note: null,
      button: t('admin.save_button'),
      backHref: appHref(app.client_id),
      formId: randomUUID(),
    },
  )
}
