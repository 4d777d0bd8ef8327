/**
 * How a peer has behaved. Offences lower the score, time forgives half of it every ten minutes; at
 * -20 the peer is disconnected, at -50 banned. (Thresholds and half-life as Lodestar uses them.)
 */
export type Penalty = 'drop' | 'disconnect' | 'ban';
export type Sentence = 'none' | 'disconnect' | 'ban';

const POINTS: Readonly<Record<Penalty, number>> = { drop: 0.25, disconnect: 20, ban: 50 };
const DISCONNECT_AT = -20;
const BAN_AT = -50;
const HALF_LIFE_MS = 10 * 60_000;

export class Standing {
  readonly #banMs: number;
  #score = 0;
  #atMs = 0;
  #bannedUntilMs: number | null = null;

  constructor(banMs: number) {
    this.#banMs = banMs;
  }

  /** What is to be done with the peer now. */
  penalize(penalty: Penalty, nowMs: number): Sentence {
    this.#score = this.score(nowMs) - POINTS[penalty];
    this.#atMs = nowMs;
    if (penalty === 'ban' || this.#score <= BAN_AT) {
      this.#bannedUntilMs = nowMs + this.#banMs;
      return 'ban';
    }
    return penalty === 'disconnect' || this.#score <= DISCONNECT_AT ? 'disconnect' : 'none';
  }

  score(nowMs: number): number {
    return this.#score * 2 ** (-(nowMs - this.#atMs) / HALF_LIFE_MS);
  }

  isBanned(nowMs: number): boolean {
    if (this.#bannedUntilMs === null) return false;
    if (nowMs < this.#bannedUntilMs) return true;
    // Served: the same offence counts as the first again.
    this.#bannedUntilMs = null;
    this.#score = 0;
    return false;
  }
}
