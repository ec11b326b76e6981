import express, { type NextFunction, type Request, type Response } from 'express'
import { hasBody, LONGEST_BODY } from '../bodies.ts'
import { RequestRefused, wordsOf } from '../http-errors.ts'

/** The parser of forms: small, without nested fields. */
export const forms = [requireForm, express.urlencoded({ extended: false, limit: LONGEST_BODY, parameterLimit: 50 })]

function requireForm(req: Request, _res: Response, next: NextFunction): void {
  if (!hasBody(req) || req.is('application/x-www-form-urlencoded')) return next()
  next(new RequestRefused(415, wordsOf('errors.bad.title', 'errors.bad.not_a_form', 'errors.bad.use_form')))
}
