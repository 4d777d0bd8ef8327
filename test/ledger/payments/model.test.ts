import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Abi, encodeFunctionData } from 'viem';
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import { GOVERNANCE, VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { closeEpoch, hasPendingChanges } from '#src/ledger/payments/validatorChanges.ts';
import { validatorRegistry, validatorSetIn } from '#src/ledger/payments/validatorRegistry.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { concatBytes, toHex } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { hashToBytes, keccakHash } from '#src/types/hash.ts';
import { encodePossession } from '#src/types/possession.ts';
import { asEpoch, asHeight, asView } from '#src/types/units.ts';
import { checkValidatorSet } from '#src/types/validatorSet.ts';
import { encodeStatement, VoteKind } from '#src/types/vote.ts';
import { person } from '../samples.ts';
import { bytes, COIN, Ledger, peerOf, seedOf, start, zero32 } from './rig.ts';

/** The oracle: plain objects and arithmetic of its own, nothing of the ledger's code. */
type Seat = { power: bigint; key: number; fee: Address };
type Model = {
  member: number;
  kind: number;
  status: number;
  authority: bigint;
  stake: bigint;
  key: number;
  fee: Address;
  ready: { height: number; ms: number };
  seat: Seat | null;
  queued: boolean;
  unbondings: { amount: bigint; at: number }[];
  keys: { key: number; from: number; to: number }[];
  punished: Set<string>;
};

const UNBONDING = 40;
const MIN = 3;
const weight = (v: Model) => (v.kind === 0 ? v.stake / COIN : v.authority);
const wanted = (v: Model): Seat | null =>
  (v.status === 3 || v.status === 4) && weight(v) > 0n
    ? { power: weight(v), key: v.key, fee: v.fee }
    : null;
/** A fee recipient alone ends no epoch. */
const isWeighty = (v: Model) => {
  const next = wanted(v);
  return next?.power !== v.seat?.power || next?.key !== v.seat?.key;
};
const same = (a: Seat | null, b: Seat | null) =>
  a?.power === b?.power && a?.key === b?.key && a?.fee === b?.fee;

class Council {
  readonly random: SeededRandom;
  readonly ledger = new Ledger({
    config: {
      epochBlocksMin: MIN,
      governance: { unbondingSeconds: UNBONDING, slashBps: 2_500 },
    },
  });
  readonly state: Overlay;
  readonly all: Model[] = [];
  height = 0;
  ms = start * 1_000;
  epoch = 0;
  epochStart = 0;
  nextKey = 100;
  registered = [0, 0, 0, 0];
  counts = new Map<string, number>();
  boundaries = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.state = new Overlay(this.ledger.state);
    for (let member = 0; member < 4; member++) {
      const fee = person(member).address;
      this.all.push({
        ...{ member, kind: 0, status: 4, authority: 0n, stake: 10n * COIN, key: member, fee },
        ...{ ready: { height: 0, ms: 0 }, seat: { power: 10n, key: member, fee }, queued: false },
        ...{ unbondings: [], keys: [{ key: member, from: 0, to: Infinity }], punished: new Set() },
      });
      this.registered[member] = 1;
    }
  }

  get now() {
    return Math.floor(this.ms / 1_000);
  }

  call(sender: Address, name: string, args: readonly unknown[], value = 0n): boolean {
    const abi = validatorRegistry.abi as Abi;
    const data = bytes(encodeFunctionData({ abi, functionName: name, args }));
    const facts = { height: asHeight(BigInt(this.height)), timestampMs: this.ms };
    const message = { sender, to: validatorRegistry, value, data, gas: 100_000_000n };
    return runMessage(this.state, facts, message).ended === 'well';
  }

  seats(): Seat[] {
    return this.all.map(wanted).filter((seat) => seat !== null);
  }

  /** Whether the change stands; if not, all of it is taken back. */
  attempt(v: Model, change: () => void, by: 'owner' | 'council', rises = false): boolean {
    const { status, stake, authority, key, fee, queued, ready } = v;
    change();
    const seats = this.seats();
    const total = seats.reduce((sum, { power }) => sum + power, 0n);
    const own = wanted(v)?.power ?? 0n;
    const greedy = rises && by === 'owner' && seats.length >= 4 && 3n * own >= total;
    if (seats.length > 0 && !greedy) return true;
    Object.assign(v, { status, stake, authority, key, fee, queued, ready });
    return false;
  }

  step(): void {
    const { random } = this;
    const at = random.below(this.all.length);
    const v = this.all[at] ?? assert.fail();
    const owner = person(v.member).address;
    const index = BigInt(at);
    const isIn = v.status === 3 || v.status === 4;
    const count = (name: string, got: boolean, want: boolean) => {
      assert.equal(got, want, `${name} of ${at} at block ${this.height}`);
      const key = `${name} ${want ? 'done' : 'refused'}`;
      this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    };
    const kind = random.below(100);
    if (kind < 18) {
      const amount = (COIN * BigInt(1 + random.below(24))) / 4n;
      const before = weight(v);
      const after = v.kind === 0 ? (v.stake + amount) / COIN : before;
      const changes = isIn && after !== before;
      const change = () => {
        v.stake += amount;
        if (changes) v.queued = true;
      };
      const want = changes ? this.attempt(v, change, 'owner', true) : done(change);
      count('bond', this.call(owner, 'bond', [index, ZERO_ADDRESS, amount], amount), want);
    } else if (kind < 34) {
      const amount = (COIN * BigInt(random.below(20))) / 4n;
      let want = amount > 0n && amount <= v.stake && v.unbondings.length < 16;
      if (!isIn && v.seat !== null) want = false;
      if (isIn && v.kind === 0 && (v.stake - amount) / COIN < 1n) want = false;
      if (want) {
        const changes = v.kind === 0 && (v.stake - amount) / COIN !== weight(v) && isIn;
        v.stake -= amount;
        if (changes) v.queued = true;
        v.unbondings.push({ amount, at: this.now + UNBONDING });
      }
      count('unbond', this.call(owner, 'unbond', [index, amount]), want);
    } else if (kind < 44) {
      const due = v.unbondings.filter((one) => one.at <= this.now);
      v.unbondings = v.unbondings.filter((one) => one.at > this.now);
      const before = this.state.account(owner)?.balance ?? 0n;
      count('withdraw', this.call(owner, 'withdrawUnbonded', [index, owner]), due.length > 0);
      const paid = (this.state.account(owner)?.balance ?? 0n) - before;
      assert.equal(
        paid,
        due.reduce((sum, { amount }) => sum + amount, 0n),
      );
    } else if (kind < 50) {
      const by = random.chance(0.5) ? owner : GOVERNANCE;
      let want = v.status >= 1 && v.status <= 4;
      if (want) {
        const change = () => {
          v.status = v.seat === null ? 6 : 5;
          if (v.seat !== null) v.queued = true;
        };
        want = isIn ? this.attempt(v, change, 'owner') : done(change);
      }
      count('deactivate', this.call(by, 'deactivateValidator', [index]), want);
    } else if (kind < 62) {
      const want = v.status === 1 || v.status === 6;
      if (want) v.status = 2;
      count('activate', this.call(GOVERNANCE, 'activateValidator', [index]), want);
    } else if (kind < 76) {
      const height = Math.max(0, this.height - random.below(3) + (random.chance(0.05) ? 5 : 0));
      let want = (v.status === 2 || v.status === 3) && height <= this.height && weight(v) > 0n;
      if (want) {
        const change = () =>
          Object.assign(v, { status: 3, ready: { height, ms: this.ms }, queued: true });
        want = this.attempt(v, change, 'owner', true);
      }
      count('ready', this.call(owner, 'signalReady', [index, BigInt(height), zero32]), want);
    } else if (kind < 82) {
      const power = BigInt(random.below(9));
      let want = v.kind === 1;
      if (want && isIn) {
        const change = () => Object.assign(v, { authority: power, queued: true });
        want = power > 0n && this.attempt(v, change, 'council');
      } else if (want) v.authority = power;
      const args = [index, power];
      count('weigh', this.call(GOVERNANCE, 'updateValidatorVotingPower', args), want);
    } else if (kind < 88) {
      v.fee = person(random.below(6)).address;
      if (isIn) v.queued = true;
      count('fee', this.call(owner, 'setFeeRecipient', [index, v.fee]), true);
    } else if (kind < 92) this.rotate(v, index, owner, count);
    else if (kind < 96) this.register(count);
    else this.accuse(v, index, count);
  }

  rotate(v: Model, index: bigint, owner: Address, count: Counter): void {
    const used = this.random.chance(0.2);
    const key = used ? v.key : this.nextKey++;
    const message = encodePossession(this.ledger.networkId, owner);
    const proof = toHex(ed25519Sign(seed(key), message));
    const want = !used && v.status !== 5;
    if (want) {
      v.key = key;
      if (v.status === 7) v.status = 1;
      if (v.status === 3 || v.status === 4) v.queued = true;
    }
    const args = [index, toHex(ed25519PublicKey(seed(key))), proof];
    count('rotate', this.call(owner, 'rotateValidator', args), want);
  }

  register(count: Counter): void {
    const member = this.random.below(4);
    const { address } = person(member);
    const kind = this.random.below(2);
    const key = this.nextKey++;
    const proof = toHex(ed25519Sign(seed(key), encodePossession(this.ledger.networkId, address)));
    const ingress = `${peerOf(key)} /ip4/192.0.2.1/tcp/1`;
    const args = [toHex(ed25519PublicKey(seed(key))), proof, kind, address, ingress];
    // Members of genesis have the role of validators only.
    const want = kind === 0 && (this.registered[member] ?? 0) < 32;
    if (want) {
      this.registered[member] = (this.registered[member] ?? 0) + 1;
      this.all.push({
        ...{ member, kind, status: 1, authority: 0n, stake: 0n, key, fee: address },
        ...{ ready: { height: 0, ms: 0 }, seat: null, queued: false },
        ...{ unbondings: [], keys: [], punished: new Set() },
      });
    }
    count('register', this.call(address, 'registerValidator', args), want);
  }

  accuse(v: Model, index: bigint, count: Counter): void {
    const epoch = Math.max(0, this.epoch - this.random.below(11));
    const span = v.keys.find(({ from, to }) => from <= epoch && epoch <= to);
    const key = span?.key ?? v.key;
    const votes = [1, 2].map((byte) => {
      const signed = encodeStatement(
        {
          ...{ kind: VoteKind.Finalize, epoch: asEpoch(epoch), view: asView(3) },
          ...{ parentView: asView(2), blockHash: keccakHash(Uint8Array.of(byte)) },
        },
        hashToBytes(this.ledger.networkId),
      );
      return toHex(concatBytes(signed, ed25519Sign(seed(key), signed)));
    });
    const mark = `${key}.${epoch}`;
    // All of it is within two weeks.
    const want = span !== undefined && !v.punished.has(mark);
    if (want) {
      v.punished.add(mark);
      v.stake -= v.stake / 4n;
      for (const one of v.unbondings) one.amount -= one.amount / 4n;
      const before = v.status;
      v.status = 7;
      const canStay = (before === 3 || before === 4) && weight(v) > 0n;
      if (canStay && this.seats().length === 0) v.status = before;
      v.queued = true;
    }
    count('accuse', this.call(person(9).address, 'submitEvidence', [index, ...votes]), want);
  }

  endBlock(): void {
    const waiting = hasPendingChanges(this.state);
    const isDue = this.all.some(isWeighty);
    // The last one cannot leave: when that has been tried, no block is made for it.
    const isLast = this.all.filter(({ seat }) => seat !== null).length === 1;
    assert.ok(waiting === isDue || (isDue && isLast), `block ${this.height}`);
    const facts = { height: asHeight(BigInt(this.height)), timestampMs: this.ms };
    const set = closeEpoch(this.state, facts);
    const changed = this.height >= this.epochStart + MIN && this.settle();
    assert.equal(set !== null, changed, `block ${this.height} ends its epoch`);
    if (changed) {
      assert.ok(waiting, 'whoever proposes knew that something waits');
      this.boundaries++;
      this.epoch++;
      this.epochStart = this.height + 1;
    }
    this.compare();
    this.height++;
    this.ms += 500 + this.random.below(this.random.chance(0.02) ? 90_000 : 4_000);
  }

  settle(): boolean {
    const changes: { v: Model; next: Seat | null }[] = [];
    let left = this.all.filter(({ seat }) => seat !== null).length;
    let ends = false;
    for (const v of this.all) {
      if (!v.queued) continue;
      const age = this.ms - v.ready.ms;
      const old = v.status === 3 && (age > 60_000 || this.height - v.ready.height > 1_000);
      const next = old ? null : wanted(v);
      if (old) v.status = 2;
      v.queued = false;
      if (same(next, v.seat)) continue;
      if (next === null && left === 1) {
        v.queued = true;
        continue;
      }
      left += (next === null ? 0 : 1) - (v.seat === null ? 0 : 1);
      ends ||= isWeighty(v);
      changes.push({ v, next });
    }
    for (const { v, next } of changes) {
      if (ends) this.seatAnew(v, next);
      else v.queued = true;
    }
    return ends;
  }

  seatAnew(v: Model, next: Seat | null): void {
    const last = v.keys.at(-1);
    if (v.seat?.key !== next?.key) {
      if (v.seat !== null && last !== undefined) last.to = this.epoch;
      if (next !== null) v.keys.push({ key: next.key, from: this.epoch + 1, to: Infinity });
    }
    if (next !== null) v.status = 4;
    else if (v.status === 5 || v.status === 4) v.status = 6;
    v.seat = next;
  }

  compare(): void {
    const set = validatorSetIn(this.state);
    assert.equal(checkValidatorSet(set.validators), null);
    const got = set.validators.map(({ consensusKey, stake, feeRecipient }) =>
      [toHex(consensusKey), stake, feeRecipient].join(),
    );
    const seats = this.all.map(({ seat }) => seat).filter((seat) => seat !== null);
    const want = seats.map(({ key, power, fee }) =>
      [toHex(ed25519PublicKey(seed(key))), power, fee].join(),
    );
    assert.deepEqual(got, want.sort(), `block ${this.height}`);
    let held = 0n;
    for (const { stake, unbondings } of this.all) {
      held += stake;
      for (const { amount } of unbondings) held += amount;
    }
    const coin = this.state.account(VALIDATOR_REGISTRY)?.balance;
    assert.equal(coin, held, 'the stake of all and what waits is what the contract has');
  }
}

function done(change: () => void): true {
  change();
  return true;
}

type Counter = (name: string, got: boolean, want: boolean) => void;

const seeds = new Map<number, Uint8Array>();
function seed(key: number): Uint8Array {
  const known = seeds.get(key) ?? (key < 100 ? seedOf(key) : hashToBytes(keccakHash(bytesOf(key))));
  seeds.set(key, known);
  return known;
}

function bytesOf(key: number): Uint8Array {
  return Uint8Array.of(key & 255, (key >> 8) & 255, key >> 16);
}

describe('validators under 20,000 operations', () => {
  it('are what an independent model says, step by step', () => {
    let operations = 0;
    const seen = new Map<string, number>();
    let boundaries = 0;
    for (let run = 1; run <= 40; run++) {
      const council = new Council(run);
      for (let block = 0; block < 150; block++) {
        for (let n = council.random.below(8); n > 0; n--, operations++) council.step();
        council.endBlock();
      }
      boundaries += council.boundaries;
      for (const [name, count] of council.counts) seen.set(name, (seen.get(name) ?? 0) + count);
    }
    assert.ok(operations >= 20_000, `${operations} operations`);
    assert.ok(boundaries >= 500, `${boundaries} boundaries`);
    for (const name of ['bond', 'unbond', 'withdraw', 'deactivate', 'activate', 'ready']) {
      for (const end of ['done', 'refused']) {
        assert.ok((seen.get(`${name} ${end}`) ?? 0) > 50, `${name} ${end}: ${seen.get(name)}`);
      }
    }
    for (const name of ['rotate', 'register', 'accuse']) {
      assert.ok((seen.get(`${name} done`) ?? 0) > 50, `${name}: ${seen.get(`${name} done`)}`);
    }
  });
});
