import type { Core } from '#consensus/core/core.ts';
import type { Block, BuildOutcome, Effect, Event } from '#consensus/core/types.ts';
import type { Clock } from '#src/lib/clock.ts';
import type { Log } from '#src/lib/log.ts';
import type { Soon } from '#src/lib/steps.ts';
import { Ahead } from './ahead.ts';
import type { Ledger, Waiting } from './ports.ts';

export type ExecutionOptions = {
  readonly core: Core;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  isStalled(): boolean;
  /** Behind what the core has still to hear. */
  queue(event: Event): void;
  /** Lets the core hear what was queued, unless that is happening already. */
  drain(): void;
  onFailed(error: unknown): void;
};

type Build = Extract<Effect, { t: 'build' }>;

/**
 * What the ledger does for the core: it builds and executes blocks, and says whether there is work.
 * What it answers at once is queued at once. Where contracts have to run the answer comes in later,
 * when votes, commits, an epoch's end or a stop may have come between: it is an event like them,
 * and the core then finds whether it still waits for it.
 */
export class Execution {
  readonly #options: ExecutionOptions;
  readonly #ahead: Ahead;
  #waiting: Waiting = { has: false, boundary: false };
  #stopped = false;

  constructor(options: ExecutionOptions) {
    const { core, ledger, clock, isStalled, onFailed } = options;
    this.#options = options;
    this.#ahead = new Ahead({ core, ledger, clock, isStalled, onFailed });
  }

  execute(block: Block): void {
    this.#soon(this.#options.ledger.execute(block), (wrong) => this.#executed(block, wrong));
  }

  build(effect: Build): void {
    const { core, ledger } = this.#options;
    const proposer = core.me;
    if (proposer === null) return;
    this.#soon(ledger.build({ ...effect, proposer }), (outcome) => this.#built(effect, outcome));
  }

  /** Whether something waits, as things stand now; told to the core whatever it knows. */
  tellPending(): void {
    this.#waiting = this.#look();
    this.#options.queue({ t: 'pending', ...this.#waiting });
  }

  /** Whether something waits for a block may have changed. */
  poolChanged(): void {
    const { has, boundary } = this.#look();
    if (!has && !this.#waiting.has && boundary === this.#waiting.boundary) return;
    this.#waiting = { has, boundary };
    this.#options.queue({ t: 'pending', has, boundary });
  }

  /** Nothing is queued after this, and nothing built ahead. */
  stop(): void {
    this.#stopped = true;
    this.#ahead.stop();
  }

  #soon<T>(answer: Soon<T>, take: (answer: T) => void): void {
    if (!(answer instanceof Promise)) return take(answer);
    const { drain, onFailed } = this.#options;
    const takeLater = (value: T) => {
      if (this.#stopped) return;
      take(value);
      drain();
    };
    answer.then(takeLater).catch(onFailed);
  }

  #executed(block: Block, wrong: string | null): void {
    const { ledger, log, queue } = this.#options;
    const { hash, height, view, proposer } = block;
    // Decided meanwhile: what is final is on disk, and anything beside it is nobody's concern.
    if (wrong !== null && height <= ledger.floor.height) return;
    if (wrong !== null) log.warn('block refused', { height, view, proposer, reason: wrong });
    queue({ t: 'executed', hash, valid: wrong === null });
    if (wrong === null) this.#ahead.after(block);
    this.#queuePending();
  }

  #built({ view, parent }: Build, outcome: BuildOutcome): void {
    this.#options.queue({ t: 'built', view, parentHash: parent.hash, outcome });
    // Not asked again before something changes: the answer would be the same.
    if (outcome.t === 'nothing') this.#waiting = { ...this.#waiting, has: false };
    else this.#queuePending();
    if (outcome.t === 'block') this.#ahead.after(outcome.block);
  }

  /** In the queue rather than at once: it looks at the chain as the core then sees it. */
  #queuePending(): void {
    const { has, boundary } = this.#look();
    if (has === this.#waiting.has && boundary === this.#waiting.boundary) return;
    this.#waiting = { has, boundary };
    this.#options.queue({ t: 'pending', has, boundary });
  }

  /** Seen from the newest block that is executed: what it contains does not wait. */
  #look(): Waiting {
    const { core, ledger } = this.#options;
    const tips = core.unfinalizedChain().map(({ hash }) => hash);
    return ledger.waiting([...tips, core.floor.hash]);
  }
}
