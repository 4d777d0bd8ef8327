import type { Question, RecoveryThreads } from '#src/crypto/recoveryThreads.ts';
import { recover } from '#src/crypto/secp256k1.ts';
import { type Address, addressFromPublicKey } from '#src/types/address.ts';
import { decodeEnvelope } from '#src/types/decodeTransaction.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { type Envelope, type SignedTransaction, signatureOf } from '#src/types/transaction.ts';

/** Signatures that wait for a thread; more would only be late. */
export const recoveriesPendingMax = 16_384;

/** Fewer are done here sooner than a thread would answer. */
const threadBatchMin = 16;

/** Payments whose senders were found and whose block nobody decoded yet: two ranges of them. */
const foundMax = 40_000;

type Asked = { readonly question: Question; readonly resolve: (key: Uint8Array | null) => void };

/**
 * Who signed a payment: at once on this thread, or, where there are others and enough to do, in
 * batches of whatever came in one turn of the event loop.
 */
export class Senders {
  readonly #threads: RecoveryThreads | null;
  readonly #found = new Map<Hash, SignedTransaction>();
  #asked: Asked[] = [];
  #pending = 0;

  constructor(threads: RecoveryThreads | null) {
    this.#threads = threads;
  }

  /** Whether more would only wait. */
  get isBusy(): boolean {
    return this.#pending >= recoveriesPendingMax;
  }

  /** Null where no key can have signed. */
  async of(envelope: Envelope): Promise<Address | null> {
    const question = signatureOf(envelope);
    const { digest, signature, yParity } = question;
    const key =
      this.#threads === null ? recover(digest, signature, yParity) : await this.#ask(question);
    return key === null ? null : addressFromPublicKey(key);
  }

  /** Finds those of payments that will soon be decoded as part of a block; see `takeFound`. */
  async findAhead(raws: readonly Uint8Array[], chainId: bigint): Promise<void> {
    // On one thread it would only be done earlier, not sooner.
    if (this.#threads === null) return;
    if (this.#found.size >= foundMax) this.#found.clear();
    const finding = raws.map(async (raw) => {
      const hash = keccakHash(raw);
      const decoded = decodeEnvelope(raw, { chainId, hash });
      const sender = decoded.ok ? await this.of(decoded.value) : null;
      if (decoded.ok && sender !== null) {
        this.#found.set(hash, Object.assign(decoded.value, { sender }));
      }
    });
    await Promise.all(finding);
  }

  /** What `findAhead` found, decoded with its sender; once. */
  takeFound(hash: Hash): SignedTransaction | null {
    const found = this.#found.get(hash) ?? null;
    this.#found.delete(hash);
    return found;
  }

  async close(): Promise<void> {
    await this.#threads?.close();
  }

  #ask(question: Question): Promise<Uint8Array | null> {
    this.#pending++;
    return new Promise((resolve) => {
      this.#asked.push({ question, resolve });
      if (this.#asked.length === 1) setImmediate(() => this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    const questions = asked.map(({ question }) => question);
    const keys =
      this.#threads === null || asked.length < threadBatchMin
        ? questions.map(({ digest, signature, yParity }) => recover(digest, signature, yParity))
        : await this.#threads.recover(questions);
    this.#pending -= asked.length;
    for (const [index, { resolve }] of asked.entries()) resolve(keys[index] ?? null);
  }
}
