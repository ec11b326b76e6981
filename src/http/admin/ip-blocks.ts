import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { ipKey, isIpAddress } from '../../domain/limits/ip-keys.ts'
import { Refused } from '../../domain/refused.ts'
import { servicesOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'

/** GET /admin/blocks */
export async function listIpBlocks(req: Request, res: Response): Promise<void> {
  const { search = '', cursor } = req.query as { search?: string; cursor?: string }
  const page = await act(req, OPERATIONS.listIpBlocks, {
    ...(search === '' ? {} : { search }),
    ...(cursor === undefined ? {} : { cursor }),
  })
  const texts = textsOf(req)
  const now = servicesOf(req).clock()
  await renderAdmin(
    req,
    res,
    'admin/blocks/index',
    { title: texts.t('admin.blocks.title'), section: 'blocks' },
    {
      search,
      blocks: page.items.map(({ address, since, until, failures }) => ({
        address,
        failures,
        since: texts.time(new Date(since), now),
        until: texts.time(new Date(until), now),
        liftHref: `/admin/blocks/lifting?${new URLSearchParams({ address })}`,
      })),
      nextHref: page.next_cursor && `/admin/blocks?${new URLSearchParams({ search, cursor: page.next_cursor })}`,
    },
  )
}

/** GET /admin/blocks/lifting */
export async function newIpBlockLifting(req: Request, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { address } = req.query as { address?: unknown }
  if (typeof address !== 'string' || !isIpAddress(address)) throw new Refused('this is not an IP address')
  await ask(req, res, 'blocks', {
    title: t('admin.blocks.lift_title', { address: ipKey(address) }),
    lines: [t('admin.blocks.lift_lead')],
    action: '/admin/blocks/lifting',
    button: t('admin.blocks.lift_button'),
    isDangerous: false,
    fields: { address },
    backHref: '/admin/blocks',
  })
}

/** POST /admin/blocks/lifting */
export async function createIpBlockLifting(req: Request, res: Response): Promise<void> {
  const address = textField(req.body, 'address', 100)
  await act(req, OPERATIONS.liftIpBlock, { address })
  redirectWith(req, res, 'block-lifted', '/admin/blocks', { values: { address: ipKey(address) } })
}
