/**
 * A bounded map of what was used lately: two generations, each of half the weight. What is used is
 * moved into the young one; when that is full it becomes the old one, and the old one is dropped.
 * An entry stays for at least half of `weightMax` of uses of others.
 */
export class RecentlyUsed<K, V> {
  readonly #generationMax: number;
  readonly #weightOf: (value: V) => number;
  #young = new Map<K, V>();
  #youngWeight = 0;
  #old = new Map<K, V>();

  /** Without a weight each entry counts one. */
  constructor(weightMax: number, weightOf: (value: V) => number = () => 1) {
    this.#generationMax = Math.ceil(weightMax / 2);
    this.#weightOf = weightOf;
  }

  /** Undefined where it is not known. */
  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    const before = this.#young.get(key);
    if (before !== undefined) this.#youngWeight -= this.#weightOf(before);
    this.#young.set(key, value);
    this.#youngWeight += this.#weightOf(value);
    if (this.#youngWeight < this.#generationMax) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngWeight = 0;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
