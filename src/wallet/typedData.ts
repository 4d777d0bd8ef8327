/**
 * EIP-712, strictly. A document is `{ types, primaryType, domain, message }`, as viem, ethers and
 * `eth_signTypedData_v4` have it. What another program might read otherwise is refused rather than
 * guessed: keys that stand twice, types that nobody defined or that contain themselves, fields that
 * are missing or too many, numbers out of range or too long to be exact in JavaScript.
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, fromHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Json, JsonNumber, type JsonObject, parseStrictJson } from '#src/lib/strictJson.ts';
import { parseAddress } from '#src/types/address.ts';

export type TypedData = {
  readonly primaryType: string;
  /** As `encodeType` of EIP-712 has it: the type and all that it needs, sorted. */
  readonly encodedType: string;
  /** Name, version, chainId, verifyingContract, salt: those that are given, as text. */
  readonly domain: ReadonlyMap<string, string>;
  /** What is signed. */
  readonly digest: Uint8Array;
};

export type TypedDataRefusal =
  | { code: 'TYPED_DATA_SIZE'; bytesMax: number }
  | { code: 'TYPED_DATA_JSON'; message: string }
  | { code: 'TYPED_DATA_TYPE'; place: string; message: string }
  | { code: 'TYPED_DATA_VALUE'; place: string; message: string };

export const typedDataBytesMax = 256 * 1024;
/** A chain of thousands would end the stack. */
const typesMax = 256;

type Field = { readonly name: string; readonly type: string };
type Types = ReadonlyMap<string, readonly Field[]>;

/** In the order in which the standard lists them, which is the order in which they are hashed. */
const DOMAIN_FIELDS: readonly Field[] = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
  { name: 'salt', type: 'bytes32' },
];
const DOMAIN = 'EIP712Domain';
const NAME = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

export function parseTypedData(text: string): Verdict<TypedData, TypedDataRefusal> {
  if (utf8(text).length > typedDataBytesMax) {
    return refuse({ code: 'TYPED_DATA_SIZE', bytesMax: typedDataBytesMax });
  }
  const parsed = parseStrictJson(text);
  if (!parsed.ok) {
    const { path, message } = parsed.refusal;
    return refuse({ code: 'TYPED_DATA_JSON', message: `${path}: ${message}` });
  }
  try {
    return accept(readDocument(parsed.value));
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const { code, place, message } = error;
    return refuse({ code, place, message });
  }
}

export function describeTypedDataRefusal(refusal: TypedDataRefusal): string {
  switch (refusal.code) {
    case 'TYPED_DATA_SIZE':
      return `larger than ${refusal.bytesMax} bytes`;
    case 'TYPED_DATA_JSON':
      return refusal.message;
    case 'TYPED_DATA_TYPE':
    case 'TYPED_DATA_VALUE':
      return `${refusal.place}: ${refusal.message}`;
  }
}

function readDocument(document: Json): TypedData {
  const root = objectAt(document, '$');
  checkKeys(root, ['types', 'primaryType', 'domain', 'message'], '$');
  const domain = objectAt(root.get('domain') ?? null, '$.domain');
  const declared = readTypes(root.get('types') ?? null);
  const types = new Map(declared).set(DOMAIN, domainFields(domain, declared.get(DOMAIN)));
  for (const [name, fields] of types) checkFields(name, fields, types);
  const primaryType = root.get('primaryType');
  if (typeof primaryType !== 'string' || primaryType === DOMAIN || !types.has(primaryType)) {
    throw typeError('$.primaryType', 'it is one of the types, and not EIP712Domain');
  }
  const done = new Set<string>();
  for (const name of types.keys()) checkNoCycle(name, types, [], done);
  const separator = hashStruct(DOMAIN, domain, types, '$.domain');
  const message = root.get('message') ?? null;
  const hash = hashStruct(primaryType, message, types, '$.message');
  return {
    primaryType,
    encodedType: encodeType(primaryType, types),
    domain: new Map([...domain].map(([name, value]) => [name, textOf(value)])),
    digest: keccak256(concatBytes(Uint8Array.of(0x19, 0x01), separator, hash)),
  };
}

// --- types ---------------------------------------------------------------------------------------

function readTypes(json: Json): Types {
  const types = new Map<string, readonly Field[]>();
  const defined = objectAt(json, '$.types');
  if (defined.size > typesMax) throw typeError('$.types', `more than ${typesMax} types`);
  for (const [name, list] of defined) {
    const place = `$.types.${name}`;
    if (!NAME.test(name) || isAtomic(name)) throw typeError(place, 'not a name of a type');
    if (!Array.isArray(list)) throw typeError(place, 'a list of fields');
    types.set(
      name,
      (list as readonly Json[]).map((item, index) => readField(item, `${place}[${index}]`)),
    );
  }
  return types;
}

function readField(json: Json, place: string): Field {
  const field = objectAt(json, place);
  checkKeys(field, ['name', 'type'], place);
  const [name, type] = [field.get('name'), field.get('type')];
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw typeError(`${place}.name`, 'not a name of a field');
  }
  if (typeof type !== 'string') throw typeError(`${place}.type`, 'a text');
  return { name, type };
}

/** Those that the domain has; where the document declares them, exactly these and in this order. */
function domainFields(domain: JsonObject, declared: readonly Field[] | undefined): Field[] {
  const fields = DOMAIN_FIELDS.filter(({ name }) => domain.has(name));
  const shown = (list: readonly Field[]) => list.map(({ name, type }) => `${type} ${name}`).join();
  if (declared !== undefined && shown(declared) !== shown(fields)) {
    const want = shown(fields);
    throw typeError(`$.types.${DOMAIN}`, `what the domain has, in the standard's order: ${want}`);
  }
  return fields;
}

function checkFields(name: string, fields: readonly Field[], types: Types): void {
  const names = new Set<string>();
  for (const field of fields) {
    const place = `$.types.${name}.${field.name}`;
    if (names.has(field.name)) throw typeError(place, 'stands twice');
    names.add(field.name);
    const base = baseOf(field.type);
    if (!isAtomic(base) && !types.has(base)) throw typeError(place, `unknown type ${field.type}`);
    if (base === DOMAIN) throw typeError(place, `${DOMAIN} is no type of a field`);
  }
}

function checkNoCycle(
  name: string,
  types: Types,
  path: readonly string[],
  done: Set<string>,
): void {
  if (path.includes(name)) {
    throw typeError(`$.types.${name}`, `contains itself: ${[...path, name].join(' -> ')}`);
  }
  if (done.has(name)) return;
  for (const other of referencesOf(name, types)) checkNoCycle(other, types, [...path, name], done);
  done.add(name);
}

function referencesOf(name: string, types: Types): Set<string> {
  const bases = (types.get(name) ?? []).map(({ type }) => baseOf(type));
  return new Set(bases.filter((base) => types.has(base)));
}

/** `Mail(Person from,Person to,string contents)Person(string name,address wallet)` */
function encodeType(name: string, types: Types): string {
  const needed = new Set<string>();
  const visit = (type: string): void => {
    for (const other of referencesOf(type, types)) {
      if (needed.has(other)) continue;
      needed.add(other);
      visit(other);
    }
  };
  visit(name);
  needed.delete(name);
  return [name, ...[...needed].sort()]
    .map((type) => {
      const fields = (types.get(type) ?? []).map((field) => `${field.type} ${field.name}`);
      return `${type}(${fields.join(',')})`;
    })
    .join('');
}

/** `Person` of `Person[2][]`. */
function baseOf(type: string): string {
  return type.replace(/(\[(0|[1-9]\d{0,5})?\])+$/, '');
}

const INTEGER = /^(u?)int([1-9]\d{0,2})$/;
const FIXED_BYTES = /^bytes([1-9]\d?)$/;

function isAtomic(type: string): boolean {
  const bits = Number(INTEGER.exec(type)?.[2] ?? 0);
  const bytes = Number(FIXED_BYTES.exec(type)?.[1] ?? 0);
  const isNumber = bits > 0 && bits <= 256 && bits % 8 === 0;
  return ['bool', 'address', 'string', 'bytes'].includes(type) || isNumber || inRange(bytes, 1, 32);
}

// --- values --------------------------------------------------------------------------------------

function hashStruct(name: string, json: Json, types: Types, place: string): Uint8Array {
  const value = objectAt(json, place);
  const fields = types.get(name) ?? [];
  checkKeys(
    value,
    fields.map((field) => field.name),
    place,
  );
  const parts = fields.map((field) => {
    const below = `${place}.${field.name}`;
    return encodeValue(field.type, value.get(field.name) ?? null, types, below);
  });
  return keccak256(concatBytes(keccak256(utf8(encodeType(name, types))), ...parts));
}

/** 32 bytes. */
function encodeValue(type: string, json: Json, types: Types, place: string): Uint8Array {
  const array = /^(.+)\[(\d*)\]$/.exec(type);
  if (array !== null) {
    const [, item = '', length = ''] = array;
    if (!Array.isArray(json)) throw valueError(place, 'a list is needed');
    const values = json as readonly Json[];
    if (length !== '' && values.length !== Number(length)) {
      throw valueError(place, `${length} items are needed, not ${values.length}`);
    }
    const parts = values.map((value, index) =>
      encodeValue(item, value, types, `${place}[${index}]`),
    );
    return keccak256(concatBytes(...parts));
  }
  if (types.has(type)) return hashStruct(type, json, types, place);
  return encodeAtomic(type, json, place);
}

function encodeAtomic(type: string, json: Json, place: string): Uint8Array {
  if (type === 'bool') {
    if (typeof json !== 'boolean') throw valueError(place, 'true or false is needed');
    return uintToBytes(json ? 1n : 0n, 32);
  }
  const integer = INTEGER.exec(type);
  if (integer !== null) {
    return encodeInteger(integer[1] === 'u', Number(integer[2]), json, place);
  }
  if (typeof json !== 'string') throw valueError(place, 'a text is needed');
  if (type === 'string') {
    if (!json.isWellFormed()) throw valueError(place, 'half a character (a lone surrogate)');
    return keccak256(utf8(json));
  }
  if (type === 'address') {
    const address = parseAddress(json);
    if (!address.ok) throw valueError(place, `not an address (${address.refusal.code})`);
    return padded(fromHex(address.value) ?? new Uint8Array(0), 'left');
  }
  const bytes = fromHex(json);
  if (bytes === null) throw valueError(place, '0x and an even number of hexadecimal digits');
  if (type === 'bytes') return keccak256(bytes);
  const length = Number(FIXED_BYTES.exec(type)?.[1]);
  if (bytes.length !== length) {
    throw valueError(place, `${length} bytes are needed, not ${bytes.length}`);
  }
  return padded(bytes, 'right');
}

/** A number, or its text, decimal or hexadecimal. */
function encodeInteger(isUnsigned: boolean, bits: number, json: Json, place: string): Uint8Array {
  const text = json instanceof JsonNumber ? json.text : json;
  const isInteger =
    typeof text === 'string' && /^(-?(0|[1-9]\d{0,77})|0x[\da-f]{1,64})$/i.test(text);
  if (!isInteger || text === '-0') throw valueError(place, 'a whole number is needed');
  const value = BigInt(text);
  if (json instanceof JsonNumber && !Number.isSafeInteger(Number(text))) {
    throw valueError(place, 'a number above 2^53 loses digits in other programs: put it in quotes');
  }
  const top = 1n << BigInt(isUnsigned ? bits : bits - 1);
  if (value >= top || value < (isUnsigned ? 0n : -top)) {
    throw valueError(place, `does not fit into ${isUnsigned ? 'u' : ''}int${bits}`);
  }
  return uintToBytes(BigInt.asUintN(256, value), 32);
}

function padded(bytes: Uint8Array, side: 'left' | 'right'): Uint8Array {
  const zeros = new Uint8Array(32 - bytes.length);
  return side === 'left' ? concatBytes(zeros, bytes) : concatBytes(bytes, zeros);
}

function objectAt(json: Json, place: string): JsonObject {
  if (json instanceof Map) return json;
  throw valueError(place, 'an object is needed');
}

function checkKeys(object: JsonObject, names: readonly string[], place: string): void {
  for (const name of names) {
    if (!object.has(name)) throw valueError(`${place}.${name}`, 'is missing');
  }
  for (const name of object.keys()) {
    if (!names.includes(name)) {
      throw valueError(`${place}.${name.slice(0, 80)}`, 'is not a field of the type');
    }
  }
}

function textOf(json: Json): string {
  return json instanceof JsonNumber ? json.text : String(json);
}

function inRange(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

/** Ends the reading; never leaves this file. */
class Stop extends Error {
  readonly code: 'TYPED_DATA_TYPE' | 'TYPED_DATA_VALUE';
  readonly place: string;
  constructor(code: Stop['code'], place: string, message: string) {
    super(message);
    this.code = code;
    this.place = place;
  }
}

function typeError(place: string, message: string): Stop {
  return new Stop('TYPED_DATA_TYPE', place, message);
}

function valueError(place: string, message: string): Stop {
  return new Stop('TYPED_DATA_VALUE', place, message);
}
