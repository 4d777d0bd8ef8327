import { SingleBar } from 'cli-progress';

/** A bar on a terminal, nothing elsewhere. */
export class Progress {
  readonly #bar: SingleBar;
  readonly #draws = process.stderr.isTTY === true;
  #stage = '';

  /** `format` as cli-progress has it; `{stage}` is what `at` was given. */
  constructor(format: string) {
    const options = { clearOnComplete: true, noTTYOutput: false, stream: process.stderr };
    this.#bar = new SingleBar({ format, ...options });
  }

  /** `of` is null where nobody knows. */
  at(stage: string, done: number, of: number | null): void {
    if (!this.#draws) return;
    if (stage !== this.#stage) {
      this.#bar.stop();
      this.#bar.start(of ?? 0, done, { stage });
      this.#stage = stage;
    }
    this.#bar.setTotal(of ?? Math.max(1, done));
    this.#bar.update(done, { stage });
  }

  stop(): void {
    this.#bar.stop();
  }
}
