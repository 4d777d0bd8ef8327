import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ed25519Sign } from '#src/crypto/ed25519.ts';
import { GOVERNANCE, VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { hasPendingChanges, validatorSetIn } from '#src/ledger/payments/validatorRegistry.ts';
import { concatBytes, toHex } from '#src/lib/bytes.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { hashToBytes, keccakHash } from '#src/types/hash.ts';
import { asEpoch, asView } from '#src/types/units.ts';
import { decodeStatement, encodeStatement, type Statement, VoteKind } from '#src/types/vote.ts';
import { person } from '../samples.ts';
import {
  addMember,
  COIN,
  ingressOf,
  keyOf,
  Ledger,
  nodesOf,
  peerOf,
  type Sent,
  seedOf,
  validatorRegistry,
  type Wanted,
  zero32,
} from './rig.ts';

const registry = (name: string, ...args: unknown[]): Wanted => [validatorRegistry, name, args];
const went = (sent: Sent): Sent => {
  assert.ok(sent.ok, sent.reason);
  return sent;
};
const refused = (sent: Sent, name: string): void => {
  assert.deepEqual([sent.ok, sent.error?.name], [false, name], sent.reason);
};
const bond = (index: bigint, amount: bigint) => registry('bond', index, ZERO_ADDRESS, amount);
const joiner = person(5);

/** A fifth member with an approved validator of 10 votes. */
function withCandidate(ledger: Ledger): bigint {
  went(ledger.decide(addMember(5, joiner.address)));
  const made = went(ledger.register(5, 5));
  const index = made.logs[0]?.args.index as bigint;
  assert.equal(index, 4n);
  went(ledger.send(joiner, bond(index, 10n * COIN), { value: 10n * COIN }));
  went(ledger.decide(registry('activateValidator', index)));
  return index;
}

const ready = (ledger: Ledger, index: bigint) =>
  registry('signalReady', index, ledger.height, zero32);

describe('a validator comes and goes', () => {
  it('is admitted, registered, approved, bonded, ready, and decides from the next epoch on', () => {
    const ledger = new Ledger();
    const before = ledger.set;
    assert.equal(before.hash, validatorSetIn(ledger.state).hash);
    const index = withCandidate(ledger);
    assert.equal(ledger.validator(index).status, 2);
    ledger.idle(12);
    assert.equal(hasPendingChanges(ledger.state), false, 'without READY nothing waits');
    const sent = went(ledger.send(joiner, ready(ledger, index)));
    assert.ok(sent.nextSet !== null, 'the epoch is old enough: this very block ends it');
    assert.equal(hasPendingChanges(ledger.state), false);
    assert.equal(ledger.validator(index).status, 4);
    assert.equal(sent.nextSet.validators.length, 5);
    assert.equal(sent.nextSet.totalStake, 50n);
    assert.equal(sent.nextSet.hash, validatorSetIn(ledger.state).hash);
    const own = sent.nextSet.validators.find(({ operator }) => operator === joiner.address);
    assert.deepEqual(own, {
      consensusKey: keyOf(5),
      stake: 10n,
      memberId: 'm5',
      peerId: peerOf(5),
      operator: joiner.address,
      feeRecipient: joiner.address,
    });
    const operators = ledger.view(validatorRegistry, 'getValidators') as string[];
    const want = sent.nextSet.validators.map(({ operator }) => operator);
    assert.deepEqual(
      operators.map((one) => one.toLowerCase()),
      want,
    );
    const at = (height: bigint) => ledger.view(validatorRegistry, 'validatorSetAt', [height]);
    assert.deepEqual(at(0n), [0n, before.hash, 40n]);
    assert.deepEqual(at(ledger.height), [0n, before.hash, 40n], 'the last block of its epoch');
    assert.deepEqual(at(ledger.height + 1n), [1n, sent.nextSet.hash, 50n]);
    assert.ok(nodesOf(ledger).some(({ peerId }) => peerId === peerOf(5)));
  });

  it('waits until the epoch has its least number of blocks', () => {
    const ledger = new Ledger({ config: { epochBlocksMin: 60 } });
    const index = withCandidate(ledger);
    went(ledger.send(joiner, ready(ledger, index)));
    assert.equal(ledger.set.validators.length, 4);
    assert.equal(hasPendingChanges(ledger.state), true);
    while (ledger.height < 59n) assert.equal(ledger.block().nextSet, null);
    assert.equal(ledger.block().nextSet?.validators.length, 5, 'at block 60 of epoch 0');
  });

  it('does not join by a READY that has grown old', () => {
    const ledger = new Ledger({ config: { epochBlocksMin: 90 } });
    const index = withCandidate(ledger);
    went(ledger.send(joiner, ready(ledger, index)));
    while (ledger.height < 95n) assert.equal(ledger.block().nextSet, null);
    assert.equal(ledger.validator(index).status, 2, 'approved, as before its READY');
    assert.equal(hasPendingChanges(ledger.state), false);
    assert.equal(went(ledger.send(joiner, ready(ledger, index))).nextSet?.validators.length, 5);
  });

  it('leaves at the boundary, takes its stake out, and gets the coin once it is free', () => {
    const ledger = new Ledger({ config: { governance: { unbondingSeconds: 100 } } });
    const one = person(1);
    const left = went(ledger.send(one, registry('deactivateValidator', 1n)));
    assert.equal(left.nextSet, null);
    assert.equal(ledger.set.validators.length, 4);
    refused(ledger.send(one, registry('unbond', 1n, 10n * COIN)), 'StillInForce');
    refused(ledger.send(one, registry('deactivateValidator', 1n)), 'WrongStatus');
    assert.equal(ledger.boundary().validators.length, 3);
    assert.equal(ledger.validator(1).status, 6);
    refused(ledger.send(one, registry('withdrawUnbonded', 1n, one.address)), 'NothingToWithdraw');
    went(ledger.send(one, registry('unbond', 1n, 4n * COIN)));
    went(ledger.send(one, registry('unbond', 1n, 6n * COIN)));
    refused(ledger.send(one, registry('withdrawUnbonded', 1n, one.address)), 'NothingToWithdraw');
    ledger.idle(97);
    const rich = person(9).address;
    const before = ledger.balance(rich);
    const first = went(ledger.send(one, registry('withdrawUnbonded', 1n, rich)));
    assert.equal(ledger.balance(rich) - before, 4n * COIN, 'the first is free, the second not yet');
    assert.deepEqual(first.movements, [
      { index: 0, from: VALIDATOR_REGISTRY, to: rich, amount: 4n * COIN },
    ]);
    ledger.idle(1);
    went(ledger.send(one, registry('withdrawUnbonded', 1n, rich)));
    assert.equal(ledger.balance(rich) - before, 10n * COIN);
    assert.equal(ledger.balance(VALIDATOR_REGISTRY), 30n * COIN);
    refused(ledger.send(one, registry('withdrawUnbonded', 1n, rich)), 'NothingToWithdraw');
  });

  it('rotates its key at the boundary: of two rotations the last counts, both are used', () => {
    const ledger = new Ledger();
    const one = person(1);
    const rotate = (key: number) => {
      const proof = ledger.possession(key, one.address);
      return ledger.send(one, registry('rotateValidator', 1n, toHex(keyOf(key)), proof));
    };
    went(rotate(20));
    went(rotate(21));
    refused(rotate(20), 'KeyUsed');
    refused(rotate(1), 'KeyUsed');
    const keys = (set = ledger.set) =>
      set.validators.map(({ consensusKey }) => toHex(consensusKey));
    assert.ok(keys().includes(toHex(keyOf(1))));
    const set = ledger.boundary();
    assert.ok(keys(set).includes(toHex(keyOf(21))) && !keys(set).includes(toHex(keyOf(20))));
    assert.equal(set.validators.length, 4);
  });

  it('changes weight, fee recipient and peer id at the boundary, addresses at once', () => {
    const ledger = new Ledger();
    const one = person(1);
    went(ledger.send(one, bond(1n, 2n * COIN), { value: 2n * COIN }));
    went(ledger.send(one, registry('setFeeRecipient', 1n, person(9).address)));
    went(ledger.send(one, registry('setIngress', 1n, ingressOf(30))));
    assert.equal(validatorSetIn(ledger.state).totalStake, 40n);
    const own = ledger.boundary().validators.find(({ memberId: id }) => id === 'm1');
    assert.deepEqual(
      [own?.stake, own?.feeRecipient, own?.peerId],
      [12n, person(9).address, peerOf(30)],
    );
    went(ledger.send(one, registry('setIngress', 1n, `${peerOf(30)} /dns4/a.b/tcp/1`)));
    went(ledger.send(one, bond(1n, COIN / 2n), { value: COIN / 2n }));
    assert.equal(hasPendingChanges(ledger.state), false, 'half a coin has no weight');
    ledger.idle(15);
    const listed = nodesOf(ledger).find(({ peerId }) => peerId === peerOf(30));
    assert.deepEqual(listed?.addresses, ['/dns4/a.b/tcp/1']);
  });

  it('makes no boundary of changes that undo each other', () => {
    const ledger = new Ledger();
    const one = person(1);
    went(ledger.send(one, bond(1n, 2n * COIN), { value: 2n * COIN }));
    assert.equal(hasPendingChanges(ledger.state), true);
    went(ledger.send(one, registry('unbond', 1n, 2n * COIN)));
    assert.equal(hasPendingChanges(ledger.state), false);
    ledger.idle(20);
  });

  it('lets an authority weigh what governance says', () => {
    const ledger = new Ledger();
    went(ledger.decide(addMember(5, joiner.address, 2n)));
    const made = went(ledger.register(5, 5, 1));
    const index = made.logs[0]?.args.index as bigint;
    went(ledger.decide(registry('activateValidator', index)));
    refused(ledger.send(joiner, ready(ledger, index)), 'PowerTooSmall');
    went(ledger.decide(registry('updateValidatorVotingPower', index, 7n)));
    went(ledger.send(joiner, ready(ledger, index)));
    const set = ledger.set.validators.length === 5 ? ledger.set : ledger.boundary();
    assert.equal(set.totalStake, 47n);
    refused(ledger.decide(registry('updateValidatorVotingPower', 0n, 7n)), 'CallFailed');
  });
});

describe('a proven fault', () => {
  const hashes = [1, 2].map((byte) => keccakHash(Uint8Array.of(byte)));
  const [A = zero32, B = zero32] = hashes;
  const { Notarize, Nullify, Finalize } = VoteKind;

  function vote(ledger: Ledger, kind: VoteKind, hash = A, more: Partial<Statement> = {}, key = 1) {
    const isNull = kind === Nullify;
    const statement: Statement = {
      kind,
      epoch: asEpoch(0),
      view: asView(7),
      parentView: asView(isNull ? 0 : 6),
      blockHash: isNull ? zero32 : hash,
      ...more,
    };
    const signed = encodeStatement(statement, hashToBytes(ledger.networkId));
    if (!isNull) assert.deepEqual(decodeStatement(signed)?.statement, statement);
    return toHex(concatBytes(signed, ed25519Sign(seedOf(key), signed)));
  }

  const faults = [
    { fault: 1, when: 'it notarized two blocks', kinds: [Notarize, Notarize] },
    { fault: 2, when: 'it finalized two blocks', kinds: [Finalize, Finalize] },
    { fault: 3, when: 'it nullified and finalized', kinds: [Nullify, Finalize] },
    { fault: 3, when: 'it finalized and nullified', kinds: [Finalize, Nullify] },
  ] as const;
  for (const { fault, when, kinds } of faults) {
    it(`costs a tenth of the stake and the seat, where ${when}`, () => {
      const ledger = new Ledger();
      const anyone = person(8);
      const votes = [vote(ledger, kinds[0], A), vote(ledger, kinds[1], B)];
      const sent = went(ledger.send(anyone, registry('submitEvidence', 1n, ...votes)));
      assert.equal(sent.logs[0]?.name, 'ValidatorSlashed');
      assert.deepEqual([sent.logs[0]?.args.fault, sent.logs[0]?.args.amount], [fault, COIN]);
      assert.deepEqual([ledger.balance(GOVERNANCE), ledger.validator(1).stake], [COIN, 9n * COIN]);
      assert.equal(ledger.validator(1).status, 7);
      refused(
        ledger.send(anyone, registry('submitEvidence', 1n, ...votes.toReversed())),
        'AlreadyPunished',
      );
      const set = ledger.boundary();
      assert.deepEqual(set.validators.map(({ memberId: id }) => id).sort(), ['m0', 'm2', 'm3']);
      refused(ledger.decide(registry('activateValidator', 1n)), 'CallFailed');
      const proof = ledger.possession(40, person(1).address);
      went(ledger.send(person(1), registry('rotateValidator', 1n, toHex(keyOf(40)), proof)));
      went(ledger.decide(registry('activateValidator', 1n)));
      const back = went(ledger.send(person(1), ready(ledger, 1n)));
      const again = back.nextSet ?? ledger.boundary();
      assert.equal(again.totalStake, 39n, 'with a new key, by a new decision, and what is left');
    });
  }

  const harmless: { when: string; error: string; votes: (ledger: Ledger) => string[] }[] = [
    {
      when: 'a nullification beside a notarization',
      error: 'NoFault',
      votes: (ledger) => [vote(ledger, Nullify), vote(ledger, Notarize)],
    },
    {
      when: 'a notarization of one block and a finalization of another',
      error: 'NoFault',
      votes: (ledger) => [vote(ledger, Notarize, A), vote(ledger, Finalize, B)],
    },
    {
      when: 'one vote twice',
      error: 'NoFault',
      votes: (ledger) => [vote(ledger, Finalize), vote(ledger, Finalize)],
    },
    {
      when: 'one statement with two signatures',
      error: 'NoFault',
      votes: (ledger) => {
        const one = vote(ledger, Finalize);
        return [one, `${one.slice(0, -2)}00`];
      },
    },
    {
      when: 'votes of two views',
      error: 'VotesApart',
      votes: (ledger) => [
        vote(ledger, Notarize, A),
        vote(ledger, Notarize, B, { view: asView(8) }),
      ],
    },
    {
      when: 'votes of two epochs',
      error: 'VotesApart',
      votes: (ledger) => [
        vote(ledger, Notarize, A),
        vote(ledger, Notarize, B, { epoch: asEpoch(1) }),
      ],
    },
    {
      when: 'votes of an epoch to come',
      error: 'EvidenceOutOfTime',
      votes: (ledger) => [A, B].map((h) => vote(ledger, Notarize, h, { epoch: asEpoch(1) })),
    },
    {
      when: 'votes of another validator',
      error: 'BadSignature',
      votes: (ledger) => [A, B].map((hash) => vote(ledger, Notarize, hash, {}, 2)),
    },
    {
      when: 'a vote that is cut short',
      error: 'MalformedVote',
      votes: (ledger) => [vote(ledger, Notarize).slice(0, -2), vote(ledger, Notarize, B)],
    },
    {
      when: 'a vote of no kind',
      error: 'MalformedVote',
      votes: (ledger) => {
        const one = vote(ledger, Notarize);
        const at = 2 + 48 * 2;
        return [vote(ledger, Notarize, B), `${one.slice(0, at)}04${one.slice(at + 2)}`];
      },
    },
    {
      when: 'a nullification that names a block',
      error: 'MalformedVote',
      votes: (ledger) => [vote(ledger, Nullify, A, { blockHash: A }), vote(ledger, Finalize)],
    },
  ];
  for (const { when, error, votes } of harmless) {
    it(`is not ${when}`, () => {
      const ledger = new Ledger();
      const wrong = () => registry('submitEvidence', 1n, ...votes(ledger));
      refused(ledger.send(person(8), wrong()), error);
      assert.equal(ledger.balance(GOVERNANCE), 0n);
    });
  }

  it('is not one of another network, and of an epoch long past', () => {
    const ledger = new Ledger();
    const foreign = new Ledger({ config: { epochBlocksMin: 11 } });
    const votes = [A, B].map((hash) => vote(foreign, Notarize, hash));
    refused(ledger.send(person(8), registry('submitEvidence', 1n, ...votes)), 'WrongNetwork');
    const quick = new Ledger({ config: { epochBlocksMin: 1 } });
    const pass = (days: number) => {
      quick.timeMs += days * 86_400_000;
    };
    for (let n = 0; n < 9; n++) {
      const amount = n % 2 === 0 ? 2n * COIN : 0n;
      const change = n % 2 === 0 ? bond(1n, amount) : registry('unbond', 1n, 2n * COIN);
      const { nextSet } = went(quick.send(person(1), change, { value: amount }));
      if (nextSet === null) quick.boundary();
    }
    assert.equal(quick.epoch, 9);
    pass(14);
    quick.block();
    const old = [A, B].map((hash) => vote(quick, Notarize, hash));
    refused(quick.send(person(8), registry('submitEvidence', 1n, ...old)), 'EvidenceOutOfTime');
    const epoch = asEpoch(1);
    const recent = [A, B].map((hash) => vote(quick, Notarize, hash, { epoch }));
    went(quick.send(person(8), registry('submitEvidence', 1n, ...recent)));
  });

  it('is reached as long as its stake can be, however many epochs have passed', () => {
    const governance = { unbondingSeconds: 30 * 86_400 };
    for (const { config, days } of [
      { config: { epochBlocksMin: 1 }, days: 14 },
      { config: { epochBlocksMin: 1, governance }, days: 30 },
    ]) {
      const ledger = new Ledger({ config });
      const proofs: string[][] = [];
      let endedMs = 0;
      for (let n = 0; n < 12; n++) {
        proofs.push([A, B].map((hash) => vote(ledger, Notarize, hash, { epoch: asEpoch(n) })));
        const amount = n % 2 === 0 ? 2n * COIN : 0n;
        const change = n % 2 === 0 ? bond(1n, amount) : registry('unbond', 1n, 2n * COIN);
        const { nextSet } = went(ledger.send(person(1), change, { value: amount }));
        if (nextSet === null) ledger.boundary();
        if (n === 1) endedMs = ledger.timeMs;
      }
      // The next block is a second later.
      ledger.timeMs = endedMs + days * 86_400_000 - 1_000;
      const [, second = [], third = []] = proofs;
      went(ledger.send(person(8), registry('submitEvidence', 1n, ...second)));
      const first = registry('submitEvidence', 1n, ...(proofs[0] ?? []));
      refused(ledger.send(person(8), first), 'EvidenceOutOfTime');
      ledger.timeMs += 60_000;
      refused(
        ledger.send(person(8), registry('submitEvidence', 1n, ...third)),
        'EvidenceOutOfTime',
      );
    }
  });

  it('is not left behind by changes of fee recipient: they end no epoch', () => {
    const ledger = new Ledger({ config: { epochBlocksMin: 1 } });
    for (let n = 0; n < 20; n++) {
      const next = person(n % 2 === 0 ? 9 : 1).address;
      const sent = went(ledger.send(person(1), registry('setFeeRecipient', 1n, next)));
      assert.equal(sent.nextSet, null);
      assert.equal(hasPendingChanges(ledger.state), false, 'no block is made for it');
    }
    went(ledger.send(person(1), registry('setFeeRecipient', 1n, person(9).address)));
    ledger.idle(20);
    assert.equal(ledger.epoch, 0);
    const sent = went(ledger.send(person(3), bond(3n, COIN), { value: COIN }));
    const own = (id: string) => sent.nextSet?.validators.find(({ memberId }) => memberId === id);
    assert.equal(own('m1')?.feeRecipient, person(9).address, 'they go with what ends the epoch');
  });

  it('a changed peer id ends an epoch: under it the others have to know a validator again', () => {
    const ledger = new Ledger({ config: { epochBlocksMin: 1 } });
    const sent = went(ledger.send(person(2), registry('setIngress', 2n, ingressOf(30))));
    const own = (id: string) => sent.nextSet?.validators.find(({ memberId }) => memberId === id);
    assert.equal(own('m2')?.peerId, peerOf(30));
  });

  it('is charged to the key of its epoch, after a rotation and after leaving', () => {
    const ledger = new Ledger();
    const proof = ledger.possession(41, person(1).address);
    went(ledger.send(person(1), registry('rotateValidator', 1n, toHex(keyOf(41)), proof)));
    ledger.boundary();
    went(ledger.send(person(1), registry('deactivateValidator', 1n)));
    ledger.boundary();
    went(ledger.send(person(1), registry('unbond', 1n, 5n * COIN)));
    const wrongKey = [A, B].map((hash) => vote(ledger, Finalize, hash, {}, 41));
    refused(ledger.send(person(8), registry('submitEvidence', 1n, ...wrongKey)), 'BadSignature');
    const votes = [A, B].map((hash) => vote(ledger, Finalize, hash));
    const sent = went(ledger.send(person(8), registry('submitEvidence', 1n, ...votes)));
    assert.equal(sent.logs[0]?.args.amount, COIN, 'of the stake and of what waits');
    const after = [A, B].map((hash) => vote(ledger, Finalize, hash, { epoch: asEpoch(2) }, 41));
    refused(ledger.send(person(8), registry('submitEvidence', 1n, ...after)), 'BadSignature');
  });

  it('never takes the last validator away', () => {
    const ledger = new Ledger({ members: 1 });
    const votes = [A, B].map((hash) => vote(ledger, Notarize, hash, {}, 0));
    went(ledger.send(person(8), registry('submitEvidence', 0n, ...votes)));
    assert.equal(ledger.validator(0).status, 4);
    assert.equal(ledger.boundary().totalStake, 9n);
    refused(ledger.send(person(0), registry('deactivateValidator', 0n)), 'LastValidator');
  });

  it('takes the last validator away that has lost all, once there is another', () => {
    const governance = { slashBps: 10_000 };
    const ledger = new Ledger({ members: 1, config: { governance } });
    const votes = [A, B].map((hash) => vote(ledger, Notarize, hash, {}, 0));
    went(ledger.send(person(8), registry('submitEvidence', 0n, ...votes)));
    assert.deepEqual([ledger.validator(0).status, ledger.validator(0).stake], [7, 0n]);
    ledger.idle(15);
    assert.equal(hasPendingChanges(ledger.state), false, 'nothing is possible');
    assert.equal(ledger.set.validators.length, 1, 'it decides, for nobody else does');
    const index = went(ledger.register(0, 5)).logs[0]?.args.index as bigint;
    went(ledger.send(person(0), bond(index, 10n * COIN), { value: 10n * COIN }));
    went(ledger.decide(registry('activateValidator', index)));
    const sent = went(ledger.send(person(0), ready(ledger, index)));
    const first = sent.nextSet ?? ledger.boundary();
    assert.equal(first.validators.length, 2, 'by index: the old one first, and alone it stays');
    const set = ledger.boundary();
    assert.deepEqual(set.validators[0]?.consensusKey, keyOf(5));
    assert.equal(set.validators.length, 1);
    assert.equal(ledger.validator(0).status, 7);
  });
});
