import { accept, refuse, type Verdict } from './failure.ts';

/**
 * JSON for files that people sign with money: a key that stands twice is an error, which JSON.parse
 * would settle in silence. Numbers keep their text, so that none is rounded. Objects are maps, so
 * that no key can be mistaken for a property of every object.
 */
export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type JsonRefusal = { code: 'JSON'; path: string; message: string };

const depthMax = 32;

export function parseStrictJson(text: string): Verdict<Json, JsonRefusal> {
  const reader = new Reader(text);
  try {
    return accept(reader.document());
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return refuse({ code: 'JSON', path: error.path, message: error.message });
  }
}

class Stop extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

const NUMBER = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
// In steps, because one pattern for a whole text overflows the stack on a long one.
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in a string (RFC 8259)
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SPACE = /[ \t\r\n]*/y;
const WORDS = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value('$', 0);
    this.#space();
    if (this.#at !== this.#text.length) this.#stop('$', 'something follows the document');
    return value;
  }

  #value(path: string, depth: number): Json {
    if (depth > depthMax) this.#stop(path, `nested deeper than ${depthMax}`);
    this.#space();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(path, depth);
    if (first === '[') return this.#array(path, depth);
    if (first === '"') return this.#string(path);
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    const number = this.#match(NUMBER);
    if (number === null) this.#stop(path, 'not JSON');
    return new JsonNumber(number);
  }

  #object(path: string, depth: number): JsonObject {
    const found = new Map<string, Json>();
    this.#at++;
    this.#space();
    if (this.#take('}')) return found;
    do {
      this.#space();
      const key = this.#string(path);
      const below = /^\w+$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
      if (found.has(key)) this.#stop(below, 'stands twice');
      this.#space();
      if (!this.#take(':')) this.#stop(below, 'a colon is missing');
      found.set(key, this.#value(below, depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take('}')) this.#stop(path, 'the object does not end');
    return found;
  }

  #array(path: string, depth: number): Json[] {
    const found: Json[] = [];
    this.#at++;
    this.#space();
    if (this.#take(']')) return found;
    do {
      found.push(this.#value(`${path}[${found.length}]`, depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take(']')) this.#stop(path, 'the list does not end');
    return found;
  }

  #string(path: string): string {
    const start = this.#at;
    if (!this.#take('"')) this.#stop(path, 'a text is missing');
    do this.#match(PLAIN);
    while (this.#match(ESCAPE) !== null);
    if (!this.#take('"')) this.#stop(path, 'a text does not end');
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0] ?? null;
    if (match !== null) this.#at += match.length;
    return match;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #stop(path: string, message: string): never {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    throw new Stop(path, `${message} (line ${line})`);
  }
}
