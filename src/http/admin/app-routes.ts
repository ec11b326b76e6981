import type { Router } from 'express'
import { actOnce } from '../middleware/repeated-forms.ts'
import {
  createApi,
  createApiDeletion,
  createApiSecret,
  createPreviousApiSecretEnd,
  editApi,
  listApis,
  newApi,
  newApiDeletion,
  newApiSecret,
  newPreviousApiSecretEnd,
  showApi,
  updateApi,
} from './apis.ts'
import {
  checkProvider,
  createProvider,
  createProviderDeletion,
  createProviderDisabling,
  createProviderEnabling,
  createProviderSecret,
  editProvider,
  listProviders,
  newProvider,
  newProviderDeletion,
  newProviderDisabling,
  newProviderSecret,
  showProvider,
  updateProvider,
} from './identity-providers.ts'
import {
  createAppDeletion,
  createAppDisabling,
  createAppEnabling,
  createAppRole,
  createAppRoleRemoval,
  createAppSecret,
  createAppTokenKey,
  createAppTest,
  createPreviousSecretEnd,
  newAppDeletion,
  newAppDisabling,
  newAppEnabling,
  newAppRoleRemoval,
  newAppSecret,
  newAppTokenKey,
  newAppTest,
  newPreviousSecretEnd,
} from './app-acts.ts'
import { editApp, updateApp } from './app-changes.ts'
import { listApps, showApp } from './apps.ts'
import { requireAdministrator, requireOperator } from './guard.ts'
import { createApp, newApp } from './new-apps.ts'

/** The table of the admin pages of apps and APIs. A secret is shown by the answer to a form, which acts once. */
export function addAppRoutes(routes: Router): void {
  const admin = [requireOperator, requireAdministrator]

  routes.get('/admin/apps', requireOperator, listApps)
  routes.get('/admin/apps/new', admin, newApp)
  routes.post('/admin/apps', admin, actOnce, createApp)
  routes.get('/admin/apps/:client_id', requireOperator, showApp)
  routes.get('/admin/apps/:client_id/settings/:section', admin, editApp)
  routes.post('/admin/apps/:client_id/settings/:section', admin, updateApp)
  routes.get('/admin/apps/:client_id/secret', admin, newAppSecret)
  routes.post('/admin/apps/:client_id/secret', admin, actOnce, createAppSecret)
  routes.get('/admin/apps/:client_id/token-key', admin, newAppTokenKey)
  routes.post('/admin/apps/:client_id/token-key', admin, actOnce, createAppTokenKey)
  routes.get('/admin/apps/:client_id/previous-secret', admin, newPreviousSecretEnd)
  routes.post('/admin/apps/:client_id/previous-secret', admin, actOnce, createPreviousSecretEnd)
  routes.get('/admin/apps/:client_id/test', admin, newAppTest)
  routes.post('/admin/apps/:client_id/test', admin, createAppTest)
  routes.post('/admin/apps/:client_id/roles', admin, createAppRole)
  routes.get('/admin/apps/:client_id/roles/:role/removal', admin, newAppRoleRemoval)
  routes.post('/admin/apps/:client_id/roles/:role/removal', admin, actOnce, createAppRoleRemoval)
  routes.get('/admin/apps/:client_id/disabling', admin, newAppDisabling)
  routes.post('/admin/apps/:client_id/disabling', admin, createAppDisabling)
  routes.get('/admin/apps/:client_id/enabling', admin, newAppEnabling)
  routes.post('/admin/apps/:client_id/enabling', admin, createAppEnabling)
  routes.get('/admin/apps/:client_id/deletion', admin, newAppDeletion)
  routes.post('/admin/apps/:client_id/deletion', admin, actOnce, createAppDeletion)

  routes.get('/admin/apis', requireOperator, listApis)
  routes.get('/admin/apis/new', admin, newApi)
  routes.post('/admin/apis', admin, actOnce, createApi)
  routes.get('/admin/apis/:api', requireOperator, showApi)
  routes.get('/admin/apis/:api/settings', admin, editApi)
  routes.post('/admin/apis/:api/settings', admin, updateApi)
  routes.get('/admin/apis/:api/secret', admin, newApiSecret)
  routes.post('/admin/apis/:api/secret', admin, actOnce, createApiSecret)
  routes.get('/admin/apis/:api/previous-secret', admin, newPreviousApiSecretEnd)
  routes.post('/admin/apis/:api/previous-secret', admin, actOnce, createPreviousApiSecretEnd)
  routes.get('/admin/apis/:api/deletion', admin, newApiDeletion)
  routes.post('/admin/apis/:api/deletion', admin, actOnce, createApiDeletion)

  const provider = '/admin/identity-providers/:provider'
  routes.get('/admin/identity-providers', requireOperator, listProviders)
  routes.get('/admin/identity-providers/new', admin, newProvider)
  routes.post('/admin/identity-providers', admin, actOnce, createProvider)
  routes.get(provider, requireOperator, showProvider)
  routes.get(`${provider}/check`, admin, checkProvider)
  routes.get(`${provider}/settings`, admin, editProvider)
  routes.post(`${provider}/settings`, admin, updateProvider)
  routes.get(`${provider}/secret`, admin, newProviderSecret)
  routes.post(`${provider}/secret`, admin, createProviderSecret)
  routes.get(`${provider}/disabling`, admin, newProviderDisabling)
  routes.post(`${provider}/disabling`, admin, createProviderDisabling)
  routes.post(`${provider}/enabling`, admin, createProviderEnabling)
  routes.get(`${provider}/deletion`, admin, newProviderDeletion)
  routes.post(`${provider}/deletion`, admin, actOnce, createProviderDeletion)
}
