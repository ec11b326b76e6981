// What directories can read and write of users and groups, as RFC 7643 describes it: reading, patching and filtering go by these
// tables, and `/Schemas` publishes them.

export type AttributeType = 'string' | 'boolean' | 'reference' | 'complex' | 'dateTime' | 'binary'

export interface Attribute {
  name: string
  type: AttributeType
  description: string
  multiValued: boolean
  required: boolean
  caseExact: boolean
  mutability: 'readOnly' | 'readWrite' | 'immutable'
  returned: 'always' | 'default' | 'request'
  uniqueness: 'none' | 'server' | 'global'
  /** Of a complex attribute. */
  subAttributes: Attribute[]
  /** The usual values; others are allowed. */
  canonicalValues?: string[]
  /** What a reference leads to. */
  referenceTypes?: string[]
}

export interface Schema {
  id: string
  name: string
  description: string
  attributes: Attribute[]
}

/** A kind of resource. */
export interface ResourceType {
  name: 'User' | 'Group'
  /** Below `/scim/v2`. */
  endpoint: '/Users' | '/Groups'
  description: string
  schema: Schema
  extensions: Schema[]
}

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User'
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group'
export const ENTERPRISE_SCHEMA = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'

function attribute(name: string, description: string, settings: Partial<Attribute> = {}): Attribute {
  return {
    name,
    type: 'string',
    description,
    multiValued: false,
    required: false,
    caseExact: false,
    mutability: 'readWrite',
    returned: 'default',
    uniqueness: 'none',
    subAttributes: [],
    ...settings,
  }
}

function complex(name: string, description: string, subAttributes: Attribute[], settings: Partial<Attribute> = {}) {
  return attribute(name, description, { type: 'complex', subAttributes, ...settings })
}

/** A list of values with a type, of which one is the primary one (RFC 7643 §2.4). */
function typed(name: string, description: string, value: Attribute, canonicalValues: string[]): Attribute {
  const rest = [
    attribute('display', 'A name of the value, for people.'),
    attribute('type', 'What the value is for.', { canonicalValues }),
    attribute('primary', 'Whether this is the preferred one.', { type: 'boolean' }),
  ]
  return complex(name, description, [value, ...rest], { multiValued: true })
}

/** Attributes of every resource (RFC 7643 §3.1), which belong to no schema. */
export const COMMON_ATTRIBUTES: Attribute[] = [
  attribute('schemas', 'The schemas of the resource.', {
    type: 'reference',
    referenceTypes: ['uri'],
    multiValued: true,
    returned: 'always',
    caseExact: true,
  }),
  attribute('id', 'The identifier of the portal.', {
    mutability: 'readOnly',
    returned: 'always',
    caseExact: true,
    uniqueness: 'server',
  }),
  attribute('externalId', 'The identifier of the directory.', { caseExact: true }),
  complex(
    'meta',
    'What the portal knows of the resource itself.',
    [
      attribute('resourceType', 'The kind of the resource.', { mutability: 'readOnly', caseExact: true }),
      attribute('created', 'When it was created.', { type: 'dateTime', mutability: 'readOnly' }),
      attribute('lastModified', 'When it was changed last.', { type: 'dateTime', mutability: 'readOnly' }),
      attribute('location', 'Its URL.', { type: 'reference', referenceTypes: ['uri'], mutability: 'readOnly' }),
      attribute('version', 'Its version, an entity tag.', { mutability: 'readOnly', caseExact: true }),
    ],
    { mutability: 'readOnly' },
  ),
]

const CONTACTS = ['work', 'home', 'other']

const user: Schema = {
  id: USER_SCHEMA,
  name: 'User',
  description: 'An identity of the portal.',
  attributes: [
    attribute('userName', 'The name of the user in the directory, often an e-mail address.', {
      required: true,
      uniqueness: 'server',
    }),
    complex('name', 'The parts of the name of the user.', [
      attribute('formatted', 'The whole name.'),
      attribute('familyName', 'The family name.'),
      attribute('givenName', 'The given name.'),
      attribute('middleName', 'The middle names.'),
      attribute('honorificPrefix', 'What stands before the name, such as Dr.'),
      attribute('honorificSuffix', 'What stands after the name, such as III.'),
    ]),
    attribute('displayName', 'The name as it is shown to others.'),
    attribute('nickName', 'How the user is called.'),
    attribute('profileUrl', 'A page about the user.', { type: 'reference', referenceTypes: ['external'] }),
    attribute('title', 'The title of the user, such as Vice President.'),
    attribute('userType', 'How the organisation and the user are related, such as Employee.'),
    attribute('preferredLanguage', 'The language of pages and mails, as in Accept-Language.'),
    attribute('locale', 'How dates and numbers are written, such as en-US.'),
    attribute('timezone', 'The time zone, such as Europe/Berlin.'),
    attribute('active', 'Whether the user can sign in.', { type: 'boolean' }),
    typed(
      'emails',
      'E-mail addresses; the primary one is that of the account.',
      attribute('value', 'The address.'),
      CONTACTS,
    ),
    typed('phoneNumbers', 'Telephone numbers.', attribute('value', 'The number.'), [
      'work',
      'home',
      'mobile',
      'fax',
      'pager',
      'other',
    ]),
    typed('ims', 'Addresses for instant messages.', attribute('value', 'The address.'), []),
    typed(
      'photos',
      'Pictures of the user.',
      attribute('value', 'The URL of the picture.', {
        type: 'reference',
        referenceTypes: ['external'],
        caseExact: true,
      }),
      ['photo', 'thumbnail'],
    ),
    complex(
      'addresses',
      'Postal addresses.',
      [
        attribute('formatted', 'The whole address, as on an envelope.'),
        attribute('streetAddress', 'The street, with the number of the house.'),
        attribute('locality', 'The city.'),
        attribute('region', 'The state or region.'),
        attribute('postalCode', 'The postal code.'),
        attribute('country', 'The country (ISO 3166-1 alpha-2).'),
        attribute('type', 'What the address is for.', { canonicalValues: CONTACTS }),
        attribute('primary', 'Whether this is the preferred one.', { type: 'boolean' }),
      ],
      { multiValued: true },
    ),
    complex(
      'groups',
      'The groups of the user. They change at the group.',
      [
        attribute('value', 'The id of the group.', { mutability: 'readOnly', caseExact: true }),
        attribute('$ref', 'The URL of the group.', {
          type: 'reference',
          referenceTypes: ['Group'],
          mutability: 'readOnly',
        }),
        attribute('display', 'The name of the group.', { mutability: 'readOnly' }),
        attribute('type', 'Groups of groups do not exist, so it is always direct.', {
          mutability: 'readOnly',
          canonicalValues: ['direct'],
        }),
      ],
      { multiValued: true, mutability: 'readOnly' },
    ),
  ],
}

const enterpriseUser: Schema = {
  id: ENTERPRISE_SCHEMA,
  name: 'EnterpriseUser',
  description: 'What an organisation knows of a user.',
  attributes: [
    attribute('employeeNumber', 'The number of the employee.'),
    attribute('costCenter', 'The name of the cost centre.'),
    attribute('organization', 'The name of the organisation.'),
    attribute('division', 'The name of the division.'),
    attribute('department', 'The name of the department.'),
    complex('manager', 'The manager of the user.', [
      attribute('value', 'The id of the manager in the directory or here.', { caseExact: true }),
      attribute('$ref', 'The URL of the manager.', { type: 'reference', referenceTypes: ['User'] }),
      attribute('displayName', 'The name of the manager.'),
    ]),
  ],
}

const group: Schema = {
  id: GROUP_SCHEMA,
  name: 'Group',
  description: 'A group of the portal. Its members have the roles that an operator gives the group.',
  attributes: [
    attribute('displayName', 'The name of the group.', { required: true, uniqueness: 'server' }),
    complex(
      'members',
      'The users in the group.',
      [
        attribute('value', 'The id of the user.', { mutability: 'immutable', caseExact: true }),
        attribute('$ref', 'The URL of the user.', {
          type: 'reference',
          referenceTypes: ['User'],
          mutability: 'immutable',
        }),
        attribute('type', 'Always User.', { mutability: 'immutable', canonicalValues: ['User'] }),
      ],
      { multiValued: true },
    ),
  ],
}

export const USER: ResourceType = {
  name: 'User',
  endpoint: '/Users',
  description: 'Identities: people who can sign in.',
  schema: user,
  extensions: [enterpriseUser],
}

export const GROUP: ResourceType = {
  name: 'Group',
  endpoint: '/Groups',
  description: 'Groups of identities, with roles.',
  schema: group,
  extensions: [],
}

export const RESOURCE_TYPES = [USER, GROUP]

/** Every schema that is published at `/Schemas`. */
export const SCHEMAS = RESOURCE_TYPES.flatMap(({ schema, extensions }) => [schema, ...extensions])

/** The attributes of a kind of resource that stand beside `schemas`, without those of extensions. */
export function coreAttributesOf({ schema }: ResourceType): Attribute[] {
  return [...COMMON_ATTRIBUTES, ...schema.attributes]
}

/** The attribute with this name, whatever its capitals (RFC 7643 §2.1). */
export function findAttribute(attributes: Attribute[], name: string): Attribute | null {
  const key = name.toLowerCase()
  return attributes.find((each) => each.name.toLowerCase() === key) ?? null
}
