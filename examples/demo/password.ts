import { randomInt } from 'node:crypto'

const WORDS = (
  'acorn amber anchor apple autumn badger basil beacon birch breeze bridge bronze butter canyon castle cedar cherry ' +
  'cinder cliff cloud clover cobalt copper coral cricket dolphin ember falcon feather fern forest garden ginger ' +
  'glacier granite harbor hazel heron honey island ivory jasmine juniper kettle lagoon lantern lemon lilac maple ' +
  'marble meadow mellow mirror morning nectar nutmeg ocean olive orchid otter pebble pepper pigeon prairie quartz ' +
  'raven ribbon river saddle saffron salmon silver sparrow spruce summer thistle thunder timber tulip valley velvet ' +
  'violet walnut willow winter'
).split(' ')

/** A password to read off a screen: five words and four digits, about 45 bits. */
export function makePassword(): string {
  const words = Array.from({ length: 5 }, () => WORDS[randomInt(WORDS.length)])
  return `${words.join('-')}-${randomInt(1000, 10_000)}`
}
