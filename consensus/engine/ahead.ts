import type { Core } from '#consensus/core/core.ts';
import type { Block } from '#consensus/core/types.ts';
import type { Clock } from '#src/lib/clock.ts';
import { asView } from '#src/types/units.ts';
import type { Ledger } from './ports.ts';

/** Whoever leads the next view builds on a valid block while the votes for it travel. */
export class Ahead {
  readonly #core: Core;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  /** Whether this is no time to look at the ledger. */
  readonly #isStalled: () => boolean;
  readonly #fail: (error: unknown) => void;
  #stopped = false;

  constructor(options: {
    readonly core: Core;
    readonly ledger: Ledger;
    readonly clock: Clock;
    isStalled(): boolean;
    onFailed(error: unknown): void;
  }) {
    const { core, ledger, clock, isStalled, onFailed } = options;
    this.#core = core;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#isStalled = isStalled;
    this.#fail = onFailed;
  }

  after(parent: Block): void {
    const { me: proposer, options } = this.#core;
    const { epoch, schedule } = options;
    const view = asView(parent.view + 1);
    // Executed while the epoch ended: nothing stands on it any more.
    if (parent.epoch !== epoch) return;
    if (proposer === null || parent.epochEnd || schedule.leaderOf(view) !== proposer) return;
    // The vote for the parent goes first.
    setImmediate(() => {
      if (this.#stopped || this.#isStalled()) return;
      if (this.#core.options.epoch !== epoch || this.#core.view > view) return;
      const timestampMs = Math.max(this.#clock.wall(), parent.timestampMs + 1);
      const parentView = parent.view;
      const prepared = this.#ledger.prepare({ parent, view, parentView, timestampMs, proposer });
      if (prepared instanceof Promise) prepared.catch(this.#fail);
    });
  }

  stop(): void {
    this.#stopped = true;
  }
}
