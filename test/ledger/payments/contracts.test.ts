import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeAbiParameters, encodeFunctionData, keccak256 } from 'viem';
import { isSoundEd25519Key } from '#src/crypto/ed25519.ts';
import { deltaOf, historyOf } from '#src/history/history.ts';
import { GOVERNANCE, VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { toBareHex, toHex } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import { memberIdOf, memberText } from '#src/types/memberId.ts';
import { isPeerId, parseIngress, peerIdOfKey } from '#src/types/peerId.ts';
import { asWei } from '#src/types/units.ts';
import { payment, person } from '../samples.ts';
import {
  addMember,
  bytes,
  COIN,
  coinbase,
  consortiumRegistry,
  governance,
  ingressOf,
  keyOf,
  Ledger,
  memberId,
  nodesOf,
  peerOf,
  type Sent,
  validatorRegistry,
  type Wanted,
  zero32,
} from './rig.ts';

const consortium = (name: string, ...args: unknown[]): Wanted => [consortiumRegistry, name, args];
const registry = (name: string, ...args: unknown[]): Wanted => [validatorRegistry, name, args];
const council = (name: string, ...args: unknown[]): Wanted => [governance, name, args];
const went = (sent: Sent): Sent => {
  assert.ok(sent.ok, sent.reason);
  return sent;
};
const [alice, bob, carol, stranger] = [person(0), person(1), person(2), person(9)];
const reserved = `0x4d5042${'00'.repeat(15)}0009` as Address;
const dataOf = ([{ abi }, functionName, args]: Wanted) =>
  encodeFunctionData({ abi, functionName, args } as Parameters<typeof encodeFunctionData>[0]);

type Row = {
  error: string;
  from: ReturnType<typeof person>;
  call: (ledger: Ledger) => Wanted;
  value?: bigint;
};
const fields = {
  ...{ memberId: memberId(7), admin: stranger.address, legalEntityHash: zero32 },
  ...{ roles: 1n, status: 1, joinedAt: 0n, endpoint: '' },
};
const member = (change: object): Wanted => consortium('addMember', { ...fields, ...change });
const proof = (ledger: Ledger, key: number, from = alice) => ledger.possession(key, from.address);
const register = (ledger: Ledger, change: Record<string, unknown> = {}): Wanted => {
  const all = {
    publicKey: toHex(keyOf(20)),
    proof: proof(ledger, 20),
    kind: 0,
    feeRecipient: alice.address,
    ingress: ingressOf(20),
    ...change,
  };
  return registry('registerValidator', ...Object.values(all));
};
/** The identity, and a point of order 8 beside a sound key: keys that sign what nobody signed. */
const weak = `0x01${'00'.repeat(31)}`;

/** Called directly: the first check that fails names the error. */
const refusals: Row[] = [
  { error: 'NotAuthorized', from: alice, call: () => addMember(7, stranger.address) },
  { error: 'NotAuthorized', from: alice, call: () => consortium('setRoles', memberId(0), 3n) },
  { error: 'NotAuthorized', from: alice, call: () => consortium('setStatus', zero32, 1, zero32) },
  {
    ...{ error: 'NotAuthorized', from: alice },
    call: () => consortium('setAccountPermission', bob.address, 2),
  },
  {
    ...{ error: 'UnknownMember', from: alice },
    call: () => consortium('setOperator', memberId(8), stranger.address, 1n, true),
  },
  {
    ...{ error: 'NotAuthorized', from: bob },
    call: () => consortium('setOperator', memberId(0), stranger.address, 1n, true),
  },
  {
    ...{ error: 'RolesBeyondMember', from: alice },
    call: () => consortium('setOperator', memberId(0), stranger.address, 2n, true),
  },
  {
    ...{ error: 'InvalidAccount', from: alice },
    call: () => consortium('setOperator', memberId(0), reserved, 1n, true),
  },
  {
    ...{ error: 'InvalidAccount', from: alice },
    call: () => consortium('setOperator', memberId(0), alice.address, 1n, false),
  },
  {
    ...{ error: 'AccountTaken', from: alice },
    call: () => consortium('setOperator', memberId(0), bob.address, 1n, true),
  },
  {
    ...{ error: 'UnknownOperator', from: alice },
    call: () => consortium('setOperator', memberId(0), stranger.address, 1n, false),
  },
  {
    ...{ error: 'NotAuthorized', from: stranger },
    call: () => consortium('setNode', memberId(0), toHex(keyOf(3)), true),
  },
  {
    ...{ error: 'InvalidNodeKey', from: alice },
    call: () => consortium('setNode', memberId(0), weak, true),
  },
  { error: 'NotPayable', from: alice, value: 1n, call: () => registry('getValidators') },
  { error: 'NotAuthorized', from: stranger, call: (ledger) => register(ledger) },
  { error: 'InvalidKind', from: alice, call: (ledger) => register(ledger, { kind: 2 }) },
  { error: 'MissingRole', from: alice, call: (ledger) => register(ledger, { kind: 1 }) },
  ...[ZERO_ADDRESS, reserved].map((feeRecipient) => ({
    ...{ error: 'InvalidAccount', from: alice },
    call: (ledger: Ledger) => register(ledger, { feeRecipient }),
  })),
  ...['', peerOf(20), `${peerOf(20)}  /ip4/1.2.3.4/tcp/1`, `${peerOf(20)} /ip4/1.2.3.4/udp/1`].map(
    (ingress) => ({
      ...{ error: 'InvalidIngress', from: alice },
      call: (ledger: Ledger) => register(ledger, { ingress }),
    }),
  ),
  {
    error: 'PeerTaken',
    from: alice,
    call: (ledger) => register(ledger, { ingress: ingressOf(1) }),
  },
  { error: 'InvalidKey', from: alice, call: (ledger) => register(ledger, { publicKey: '0x00' }) },
  { error: 'InvalidKey', from: alice, call: (ledger) => register(ledger, { publicKey: weak }) },
  {
    ...{ error: 'KeyUsed', from: alice },
    call: (ledger) => register(ledger, { publicKey: toHex(keyOf(2)) }),
  },
  {
    ...{ error: 'InvalidProof', from: alice },
    call: (ledger) => register(ledger, { proof: proof(ledger, 20, bob) }),
  },
  { error: 'NotAuthorized', from: alice, call: () => registry('activateValidator', 0n) },
  { error: 'NotAuthorized', from: bob, call: () => registry('deactivateValidator', 0n) },
  { error: 'UnknownValidator', from: alice, call: () => registry('deactivateValidator', 4n) },
  {
    ...{ error: 'NotAuthorized', from: alice },
    call: () => registry('updateValidatorVotingPower', 0n, 3n),
  },
  {
    ...{ error: 'InvalidAccount', from: alice },
    call: () => registry('setFeeRecipient', 0n, VALIDATOR_REGISTRY),
  },
  { error: 'PeerTaken', from: alice, call: () => registry('setIngress', 0n, ingressOf(1)) },
  {
    ...{ error: 'UnknownToken', from: alice, value: 1n },
    call: () => registry('bond', 0n, bob.address, 1n),
  },
  {
    ...{ error: 'WrongAmount', from: alice, value: 1n },
    call: () => registry('bond', 0n, ZERO_ADDRESS, 2n),
  },
  { error: 'WrongAmount', from: alice, call: () => registry('bond', 0n, ZERO_ADDRESS, 0n) },
  {
    // 15 of 45 are one third.
    ...{ error: 'ShareTooLarge', from: alice, value: 5n * COIN },
    call: () => registry('bond', 0n, ZERO_ADDRESS, 5n * COIN),
  },
  { error: 'StakeTooSmall', from: alice, call: () => registry('unbond', 0n, 11n * COIN) },
  { error: 'StakeTooSmall', from: alice, call: () => registry('unbond', 0n, 0n) },
  { error: 'PowerTooSmall', from: alice, call: () => registry('unbond', 0n, 10n * COIN) },
  {
    ...{ error: 'NothingToWithdraw', from: alice },
    call: () => registry('withdrawUnbonded', 0n, alice.address),
  },
  {
    ...{ error: 'InvalidAccount', from: alice },
    call: () => registry('withdrawUnbonded', 0n, GOVERNANCE),
  },
  { error: 'WrongStatus', from: alice, call: () => registry('signalReady', 0n, 0n, zero32) },
  { error: 'MalformedVote', from: alice, call: () => registry('submitEvidence', 0n, '0x', '0x') },
  { error: 'NotAuthorized', from: stranger, call: () => council('propose', [], [], 0, '') },
  { error: 'TrackNotSupported', from: alice, call: () => council('propose', [], [], 2, '') },
  { error: 'InvalidCalls', from: alice, call: () => council('propose', [], [], 0, '') },
  {
    ...{ error: 'InvalidCalls', from: alice },
    call: () => council('propose', [GOVERNANCE], ['0x', '0x'], 0, ''),
  },
  {
    ...{ error: 'NotGoverned', from: alice },
    call: () => council('propose', [bob.address], ['0x'], 0, ''),
  },
  {
    ...{ error: 'NotGoverned', from: alice },
    call: () => {
      const data = dataOf(registry('withdrawUnbonded', 0n, alice.address));
      return council('propose', [VALIDATOR_REGISTRY], [data], 0, '');
    },
  },
  {
    ...{ error: 'CallTooLong', from: alice },
    call: () => council('propose', [GOVERNANCE], [`0x${'00'.repeat(8_193)}`], 0, ''),
  },
  {
    ...{ error: 'DescriptionTooLong', from: alice },
    call: () => {
      const data = dataOf(registry('activateValidator', 0n));
      return council('propose', [VALIDATOR_REGISTRY], [data], 0, 'x'.repeat(1_025));
    },
  },
  { error: 'UnknownProposal', from: alice, call: () => council('castVote', 1n, 1, zero32) },
  { error: 'UnknownProposal', from: alice, call: () => council('execute', 1n) },
  { error: 'UnknownProposal', from: alice, call: () => council('cancel', 1n) },
  { error: 'UnknownProposal', from: alice, call: () => council('ratify', 1n) },
];

/** What governance itself is refused, by the error inside CallFailed. */
const governed: [string, Wanted][] = [
  ['InvalidMemberId', member({ memberId: zero32 })],
  ['MemberExists', member({ memberId: memberId(1) })],
  ['UnknownRoles', member({ roles: 1n << 10n })],
  ['EndpointTooLong', member({ endpoint: 'x'.repeat(257) })],
  ['InvalidAccount', member({ admin: ZERO_ADDRESS })],
  ['AccountTaken', member({ admin: bob.address })],
  ['UnknownMember', consortium('setRoles', memberId(7), 1n)],
  ['InvalidStatus', consortium('setStatus', memberId(1), 0, zero32)],
  ['InvalidPermission', consortium('setAccountPermission', bob.address, 3)],
  ['WrongStatus', registry('activateValidator', 1n)],
  ['PowerFollowsStake', registry('updateValidatorVotingPower', 1n, 1n)],
];

describe('what the contracts refuse', () => {
  for (const [at, { error, from, call, value = 0n }] of refusals.entries()) {
    it(`${error} (${at})`, () => {
      const ledger = new Ledger();
      const before = ledger.balance(from.address);
      const sent = ledger.send(from, call(ledger), { value });
      assert.deepEqual([sent.ok, sent.error?.name], [false, error], sent.reason);
      assert.equal(ledger.balance(from.address), before - sent.gasUsed, 'it pays its gas only');
      assert.deepEqual(sent.logs, []);
    });
  }
  for (const [error, call] of governed) {
    it(`${error}, to governance too`, () => {
      const sent = new Ledger().decide(call);
      assert.match(sent.reason, /^CallFailed\(0, /);
      const [contract] = call;
      const text = contract.abi.find((item) => item.type === 'error' && item.name === error);
      assert.ok(text?.type === 'error');
      const types = text.inputs.map(({ type }) => type).join(',');
      const selector = keccak256(Buffer.from(`${error}(${types})`)).slice(0, 10);
      assert.ok(String(sent.error?.args[1]).startsWith(selector), `${sent.error?.args}`);
    });
  }

  it('data without a function, data cut off, and value where none is taken', () => {
    const ledger = new Ledger();
    const full = bytes(dataOf(registry('getValidator', 0n)));
    const noArguments = full.slice(0, 4);
    const rows: [string, Uint8Array, bigint, string][] = [
      ['coin alone', new Uint8Array(0), 5n, 'UnknownFunction'],
      ['three bytes', Uint8Array.of(1, 2, 3), 0n, 'UnknownFunction'],
      ['no such function', Uint8Array.of(1, 2, 3, 4), 0n, 'UnknownFunction'],
      ['no arguments', noArguments, 0n, 'BadCallData'],
    ];
    for (const [when, data, value, error] of rows) {
      const sent = ledger.sendData(alice, validatorRegistry, data, { value });
      assert.deepEqual([sent.ok, sent.error?.name], [false, error], when);
    }
    assert.equal(ledger.balance(VALIDATOR_REGISTRY), 40n * COIN);
  });

  it('a change that leaves nobody to vote, or nobody to decide', () => {
    const ledger = new Ledger({ members: 1 });
    const removed = ledger.decide(consortium('setStatus', memberId(0), 3, zero32));
    assert.match(removed.reason, /^CallFailed/);
    const left = ledger.send(alice, registry('deactivateValidator', 0n));
    assert.equal(left.error?.name, 'LastValidator');
  });
});

describe('governance', () => {
  const proposal = (...calls: Wanted[]): Wanted =>
    council(
      'propose',
      calls.map(([{ address }]) => address),
      calls.map(dataOf),
      0,
      'because',
    );
  const harmless = consortium('setAccountPermission', stranger.address, 2);
  const stateOf = (ledger: Ledger) => ledger.view(governance, 'state', [1n]);

  it('passes with more than two thirds of all voters, waits, and is executed once', () => {
    const ledger = new Ledger({ config: { governance: { delaySeconds: 10 } } });
    went(ledger.send(alice, proposal(harmless)));
    for (const [at, voter] of [alice, bob].entries()) {
      went(ledger.send(voter, council('castVote', 1n, 1, zero32)));
      assert.equal(stateOf(ledger), 0, `${at + 1} of 4`);
    }
    const twice = ledger.send(bob, council('castVote', 1n, 1, zero32));
    assert.equal(twice.error?.name, 'AlreadyVoted');
    assert.equal(
      ledger.send(carol, council('castVote', 1n, 3, zero32)).error?.name,
      'InvalidSupport',
    );
    assert.equal(ledger.send(alice, council('execute', 1n)).error?.name, 'WrongState');
    went(ledger.send(carol, council('castVote', 1n, 1, zero32)));
    assert.deepEqual(ledger.view(governance, 'proposalVotes', [1n]), [0n, 3n, 0n, 3n]);
    assert.equal(stateOf(ledger), 1);
    assert.equal(ledger.send(alice, council('execute', 1n)).error?.name, 'WrongState');
    for (let n = 0; n < 9; n++) ledger.block();
    assert.equal(stateOf(ledger), 2);
    assert.equal(ledger.send(stranger, council('execute', 1n)).error?.name, 'NotAuthorized');
    went(ledger.send(bob, council('execute', 1n)));
    assert.equal(ledger.view(consortiumRegistry, 'isAccountAllowed', [stranger.address]), false);
    assert.equal(stateOf(ledger), 3);
    assert.equal(ledger.send(bob, council('execute', 1n)).error?.name, 'WrongState');
  });

  it('is lost when the time is over, or taken back by whoever made it', () => {
    const ledger = new Ledger({ config: { governance: { voteSeconds: 5 } } });
    went(ledger.send(alice, proposal(harmless)));
    for (let n = 0; n < 6; n++) ledger.block();
    assert.equal(stateOf(ledger), 4);
    assert.equal(ledger.send(bob, council('castVote', 1n, 1, zero32)).error?.name, 'VotingClosed');
    went(ledger.send(alice, proposal(harmless)));
    assert.equal(ledger.send(bob, council('cancel', 2n)).error?.name, 'NotAuthorized');
    went(ledger.send(alice, council('cancel', 2n)));
    assert.equal(ledger.view(governance, 'state', [2n]), 5);
    assert.equal(ledger.send(bob, council('castVote', 2n, 1, zero32)).error?.name, 'WrongState');
  });

  it('does all that was decided, or nothing', () => {
    const ledger = new Ledger();
    const sent = ledger.decide(harmless, registry('activateValidator', 1n));
    assert.match(sent.reason, /^CallFailed\(1, /);
    assert.equal(ledger.view(consortiumRegistry, 'isAccountAllowed', [stranger.address]), true);
    assert.equal(ledger.view(governance, 'state', [1n]), 2, 'it may be tried again');
  });

  it('is not voted on by whoever came later', () => {
    const ledger = new Ledger();
    went(ledger.send(alice, proposal(harmless)));
    went(ledger.decide(addMember(9, stranger.address)));
    const late = ledger.send(stranger, council('castVote', 1n, 1, zero32));
    assert.equal(late.error?.name, 'NotAVoterThen');
    went(ledger.send(stranger, proposal(harmless)));
    assert.deepEqual(ledger.view(governance, 'proposalVotes', [3n]), [0n, 0n, 0n, 4n]);
  });

  it('is for accounts whose member is active, within their roles', () => {
    const ledger = new Ledger();
    went(ledger.send(alice, consortium('setOperator', memberId(0), stranger.address, 0n, true)));
    assert.equal(ledger.send(stranger, proposal(harmless)).error?.name, 'NotAuthorized');
    went(ledger.send(alice, consortium('setOperator', memberId(0), stranger.address, 1n, true)));
    went(ledger.send(stranger, proposal(harmless)));
    went(ledger.decide(consortium('setStatus', memberId(3), 2, zero32)));
    const suspended = ledger.send(person(3), proposal(harmless));
    assert.equal(suspended.error?.name, 'NotAuthorized');
    assert.deepEqual(ledger.view(consortiumRegistry, 'memberOf', [person(3).address]), [
      memberId(3),
      0n,
    ]);
  });
});

describe('nodes and names', () => {
  it('lets in the nodes that active members name', () => {
    const ledger = new Ledger();
    const key = toHex(keyOf(50));
    went(ledger.send(alice, consortium('setNode', memberId(0), key, true)));
    assert.equal(ledger.view(consortiumRegistry, 'isNodeAllowed', [key]), true);
    const peerId = peerIdOfKey(keyOf(50));
    assert.ok(isPeerId(peerId), peerId);
    const listed = () => nodesOf(ledger).some((node) => node.peerId === peerId);
    assert.ok(listed());
    const taken = ledger.send(bob, consortium('setNode', memberId(1), key, true));
    assert.equal(taken.error?.name, 'NodeTaken');
    went(ledger.send(alice, consortium('setNode', memberId(0), key, false)));
    assert.equal(ledger.view(consortiumRegistry, 'isNodeAllowed', [key]), false);
    assert.ok(!listed());
    assert.equal(nodesOf(ledger).length, 4);
  });

  it('spells a member as its text where that is lossless and plain ASCII', () => {
    for (const text of ['m0', 'Bank of Aland', 'x'.repeat(32)]) {
      assert.equal(memberText(memberIdOf(text)), text);
    }
    const long = memberIdOf('x'.repeat(33));
    const foreign = memberIdOf('Bank of Åland');
    for (const id of [long, foreign, zero32, `0x6d00${'00'.repeat(29)}31` as const]) {
      assert.equal(memberText(id as typeof zero32), id);
    }
    assert.equal(parseIngress(`${peerOf(1)} ${'/ip4/1.2.3.4/tcp/1 '.repeat(9).trim()}`), null);
  });

  it('refuses keys for which anybody can sign', () => {
    const torsion = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a';
    const nonCanonical = `f0${'ff'.repeat(30)}7f`;
    for (const key of [weak.slice(2), torsion, nonCanonical, 'ff'.repeat(32), '00'.repeat(32)]) {
      assert.equal(isSoundEd25519Key(new Uint8Array(Buffer.from(key, 'hex'))), false, key);
    }
    assert.equal(isSoundEd25519Key(keyOf(1)), true);
  });
});

describe('the record', () => {
  it('lies where Solidity would put it', () => {
    const ledger = new Ledger();
    const slot = (place: bigint) =>
      toBareHex(
        ledger.state.slot(VALIDATOR_REGISTRY, place.toString(16).padStart(64, '0')),
      ).padStart(64, '0');
    // Slot 1 from its low end: count u64, epoch u64, unbonding u48, least blocks u32, slash u16.
    const packed = ['03e8', '0000000a', '000000127500', '0'.repeat(16), '4'.padStart(16, '0')];
    assert.equal(slot(1n), packed.join('').padStart(64, '0'));
    assert.equal(slot(2n), ledger.networkId.slice(2));
    const types = [{ type: 'uint64' }, { type: 'uint256' }];
    const base = BigInt(keccak256(encodeAbiParameters(types, [2n, 0n])));
    assert.equal(slot(base), memberId(2).slice(2));
    // isQueued, power, status 4, kind 0, operator.
    const second = `00${'0'.repeat(16)}0400${carol.address.slice(2)}`;
    assert.equal(slot(base + 1n), second.padStart(64, '0'));
    assert.equal(slot(base + 4n), toBareHex(keyOf(2)));
    assert.equal(BigInt(`0x${slot(base + 5n)}`), 10n * COIN);
  });

  it('adds up for every account, contracts included', () => {
    const ledger = new Ledger({ config: { governance: { unbondingSeconds: 0 } } });
    const total = new Map<Address, bigint>();
    const accounts = [alice.address, VALIDATOR_REGISTRY, coinbase];
    const before = accounts.map((address) => ledger.balance(address));
    const calls: [Wanted, bigint][] = [
      [registry('bond', 0n, ZERO_ADDRESS, COIN), COIN],
      [registry('bond', 0n, ZERO_ADDRESS, COIN), 2n * COIN],
      [registry('unbond', 0n, 3n * COIN), 0n],
      [registry('withdrawUnbonded', 0n, alice.address), 0n],
    ];
    for (const [nonce, [call, value]] of calls.entries()) {
      const { outcome } = ledger.send(alice, call, { value });
      const transaction = payment(alice, {
        ...{ nonce: BigInt(nonce), to: VALIDATOR_REGISTRY, value: asWei(value) },
        maxFeePerGas: asWei(1n),
      });
      const header = { height: 1n, baseFeePerGas: 1n, coinbase, consensus: { timestampMs: 1 } };
      const block = { header, transactions: [transaction] } as unknown as Block;
      for (const entry of historyOf(block, outcome.receipts, outcome.movements)) {
        total.set(entry.account, (total.get(entry.account) ?? 0n) + deltaOf(entry));
      }
    }
    for (const [at, address] of accounts.entries()) {
      assert.equal(total.get(address), ledger.balance(address) - (before[at] ?? 0n), address);
    }
    assert.equal(ledger.balance(VALIDATOR_REGISTRY), 38n * COIN);
  });

  it('has an ABI whose selectors are all told apart', () => {
    const wants = [11, 16, 7, 8, 9, 5, 19, 14, 9, 20, 5];
    assert.deepEqual(
      contracts.map(({ functions }) => functions.size),
      wants,
    );
  });
});
