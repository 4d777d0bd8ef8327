/**
 * What a node and its signer say to each other on a unix socket: one JSON document a line. The node
 * asks `{ id, ask: "keys" }` or `{ id, ask: "sign", key, statement }`; the signer answers
 * `{ id, keys }`, `{ id, signature }` or `{ id, refused }`. Bytes are 0x and hexadecimal digits.
 */
export type SignerRequest =
  | { readonly id: number; readonly ask: 'keys' }
  | {
      readonly id: number;
      readonly ask: 'sign';
      readonly key: string;
      readonly statement: string;
    };

export type SignerAnswer =
  | { readonly id: number; readonly keys: readonly string[] }
  | { readonly id: number; readonly signature: string }
  | { readonly id: number; readonly refused: string };

/** A request is far shorter; a line that is not is no request. */
export const lineCharsMax = 4_096;

/** Cuts a stream into lines; null where one is too long. */
export class Lines {
  #rest = '';

  push(chunk: string): string[] | null {
    const parts = (this.#rest + chunk).split('\n');
    this.#rest = parts.pop() ?? '';
    const tooLong = this.#rest.length > lineCharsMax || parts.some((p) => p.length > lineCharsMax);
    return tooLong ? null : parts.filter((part) => part !== '');
  }
}
