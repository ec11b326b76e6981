export { inkOn } from '../../config.ts'
