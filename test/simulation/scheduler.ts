/** Virtual time: a binary heap of callbacks by (time, order of scheduling). */
export class Scheduler {
  now = 0;
  #order = 0;
  readonly #heap: { at: number; order: number; run: () => void }[] = [];

  at(time: number, run: () => void): void {
    this.#heap.push({ at: Math.max(time, this.now), order: this.#order++, run });
    this.#up(this.#heap.length - 1);
  }

  after(ms: number, run: () => void): void {
    this.at(this.now + ms, run);
  }

  /** Runs everything up to `end`, or until `done` says so. */
  runUntil(end: number, done: () => boolean = () => false): void {
    while (this.#heap.length > 0 && (this.#heap[0]?.at ?? 0) <= end) {
      const next = this.#pop();
      this.now = next.at;
      next.run();
      if (done()) return;
    }
    this.now = Math.max(this.now, end);
  }

  #less(i: number, j: number): boolean {
    const a = this.#heap[i];
    const b = this.#heap[j];
    if (a === undefined || b === undefined) return false;
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #swap(i: number, j: number): void {
    const kept = this.#heap[i];
    const other = this.#heap[j];
    if (kept === undefined || other === undefined) return;
    this.#heap[i] = other;
    this.#heap[j] = kept;
  }

  #up(from: number): void {
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#less(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #pop(): { at: number; order: number; run: () => void } {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (top === undefined || last === undefined) throw new RangeError('empty schedule');
    if (this.#heap.length > 0 && top !== last) {
      this.#heap[0] = last;
      for (let i = 0; ; ) {
        const left = 2 * i + 1;
        let least = i;
        if (this.#less(left, least)) least = left;
        if (this.#less(left + 1, least)) least = left + 1;
        if (least === i) break;
        this.#swap(i, least);
        i = least;
      }
    }
    return top;
  }
}
