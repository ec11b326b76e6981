import type { Request, Response } from 'express'
import { ERROR_SECTIONS } from '../error-reference.ts'
import { render } from '../page.ts'

/** GET /docs/errors: asks no store, so it also explains why the stores cannot be reached. */
export async function listErrors(req: Request, res: Response): Promise<void> {
  await render(req, res, 'errors/index', { title: 'Errors' }, { sections: ERROR_SECTIONS })
}
