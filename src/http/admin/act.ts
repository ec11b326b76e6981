import type { Request } from 'express'
import { type AnswerOf, type AnyOperation, Forbidden, mayPerform, perform } from '../../administration/operation.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { notForYou, operatorOf } from './guard.ts'

/** Performs an operation in the name of the administrator of this request. @throws RequestRefused when the role may not, Refused */
export async function act<O extends AnyOperation>(
  req: Request,
  asked: O,
  input: Record<string, unknown> = {},
): Promise<AnswerOf<O>> {
  const { roles } = signedInOf(req)
  const operator = operatorOf(req)
  try {
    return await perform({ ...servicesOf(req), operator }, { kind: 'role', roles }, asked, input)
  } catch (error) {
    if (error instanceof Forbidden) throw notForYou()
    throw error
  }
}

/** Whether the administrator of this request may perform an operation, for a button that leads to it. */
export function may(req: Request, asked: AnyOperation): boolean {
  return mayPerform({ kind: 'role', roles: signedInOf(req).roles }, asked)
}
