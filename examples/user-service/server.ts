import { app } from './app.ts'
import { settings } from './settings.ts'

app.listen(settings.port, '127.0.0.1', () => console.log(`the user service is on ${settings.baseUrl}`))
