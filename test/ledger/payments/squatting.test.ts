/** One member that takes what others need: accounts, peer ids, places for peers. */
import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { toHex } from '#src/lib/bytes.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import * as own from '#src/types/peerId.ts';
import { peerIdOfKey } from '#src/types/peerId.ts';
import { person } from '../samples.ts';
import {
  addMember,
  COIN,
  consortiumRegistry,
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
const went = (sent: Sent): Sent => {
  assert.ok(sent.ok, sent.reason);
  return sent;
};
const refused = (sent: Sent, name: string): void => {
  assert.deepEqual([sent.ok, sent.error?.name], [false, name], sent.reason);
};
const setNode = (member: number, key: number, allowed = true) =>
  consortium('setNode', memberId(member), toHex(keyOf(key)), allowed);
/** Of the node with the key of this number, which is a real one. */
const realIngress = (key: number) => `${peerIdOfKey(keyOf(key))} /ip4/192.0.2.1/tcp/30303`;

describe('what one member takes', () => {
  it("is not the account of another one's admin to be", () => {
    const ledger = new Ledger();
    const operator = person(7).address;
    went(ledger.send(person(3), consortium('setOperator', memberId(3), operator, 0n, true)));
    const executed = went(ledger.decide(addMember(9, operator)));
    const names = executed.logs.map(({ name }) => name);
    assert.deepEqual(names, ['OperatorSet', 'MemberAdded', 'ProposalExecuted']);
    const [owner] = ledger.view(consortiumRegistry, 'memberOf', [operator]) as [string, bigint];
    assert.equal(owner, memberId(9));
    const back = consortium('setOperator', memberId(3), operator, 0n, false);
    refused(ledger.send(person(3), back), 'UnknownOperator');
  });

  it('is not a peer id that it has named and left', () => {
    const ledger = new Ledger();
    went(ledger.send(person(3), registry('setIngress', 3n, ingressOf(20))));
    refused(ledger.register(1, 20), 'PeerTaken');
    went(ledger.send(person(3), registry('setIngress', 3n, ingressOf(3))));
    went(ledger.register(1, 20));
  });

  it('is not a peer id by registering alone: whom the members admit has it', () => {
    const ledger = new Ledger();
    const squat = (operator: number, key: number) => {
      const proof = ledger.possession(key, person(operator).address);
      const args = [toHex(keyOf(key)), proof, 0, person(operator).address, ingressOf(21)];
      return ledger.send(person(operator), registry('registerValidator', ...args));
    };
    went(squat(3, 20));
    went(squat(1, 21));
    went(ledger.decide(registry('activateValidator', 5n)));
    refused(ledger.decide(registry('activateValidator', 4n)), 'CallFailed');
    refused(ledger.send(person(3), registry('setIngress', 3n, ingressOf(21))), 'PeerTaken');
    went(ledger.send(person(1), registry('deactivateValidator', 5n)));
    went(ledger.send(person(3), registry('setIngress', 3n, ingressOf(21))));
  });

  it('keeps the peer id that it has in this epoch until the next', () => {
    const ledger = new Ledger();
    went(ledger.send(person(3), registry('setIngress', 3n, ingressOf(20))));
    refused(ledger.send(person(2), registry('setIngress', 2n, ingressOf(3))), 'PeerTaken');
    const bond = registry('bond', 1n, ZERO_ADDRESS, COIN);
    went(ledger.send(person(1), bond, { value: COIN }));
    ledger.boundary();
    went(ledger.send(person(2), registry('setIngress', 2n, ingressOf(3))));
    refused(ledger.send(person(2), registry('setIngress', 2n, ingressOf(20))), 'PeerTaken');
  });

  it("is not a validator's node, nor a node for ever", () => {
    const ledger = new Ledger();
    went(ledger.send(person(3), setNode(3, 50)));
    refused(ledger.send(person(1), setNode(1, 50)), 'NodeTaken');
    went(ledger.send(person(1), registry('setIngress', 1n, realIngress(50))));
    const listed = nodesOf(ledger).find(({ peerId }) => peerId === peerIdOfKey(keyOf(50)));
    assert.deepEqual(listed?.addresses, ['/ip4/192.0.2.1/tcp/30303']);
    went(ledger.send(person(1), setNode(1, 50)));
    refused(ledger.send(person(3), setNode(3, 50)), 'NodeTaken');
    went(ledger.send(person(3), setNode(3, 51)));
    went(ledger.send(person(3), setNode(3, 51, false)));
    went(ledger.send(person(2), setNode(2, 51)));
    went(ledger.decide(consortium('setStatus', memberId(2), 3, zero32)));
    went(ledger.send(person(3), setNode(3, 51)));
  });

  it('is eight places of nodes, and none for validators that nobody admitted', () => {
    const ledger = new Ledger();
    const before = nodesOf(ledger).length;
    for (let key = 60; key < 68; key++) went(ledger.send(person(3), setNode(3, key)));
    refused(ledger.send(person(3), setNode(3, 68)), 'TooManyNodes');
    for (const key of [63, 60, 67]) went(ledger.send(person(3), setNode(3, key, false)));
    went(ledger.send(person(3), setNode(3, 68)));
    const named = nodesOf(ledger)
      .slice(before)
      .map(({ peerId }) => peerId);
    const want = [61, 62, 64, 65, 66, 68].map((key) => peerIdOfKey(keyOf(key)));
    assert.deepEqual(named.sort(), want.sort());
    const listed = () => nodesOf(ledger).some(({ peerId }) => peerId === peerOf(20));
    went(ledger.register(3, 20));
    assert.equal(listed(), false, 'registered');
    went(ledger.decide(registry('activateValidator', 4n)));
    assert.equal(listed(), true, 'admitted');
    went(ledger.send(person(3), registry('deactivateValidator', 4n)));
    assert.equal(listed(), false, 'given up before it ever decided');
  });

  it('is a place for a day after it has left', () => {
    const ledger = new Ledger();
    const listed = () => nodesOf(ledger).find(({ peerId }) => peerId === peerOf(3));
    assert.equal(listed()?.isInForce, true);
    went(ledger.send(person(3), registry('deactivateValidator', 3n)));
    ledger.boundary();
    assert.equal(listed()?.isInForce, false);
    ledger.timeMs += 24 * 3_600_000 - 1_000;
    assert.ok(listed());
    ledger.timeMs += 1_000;
    assert.equal(listed(), undefined);
  });
});

describe('addresses are checked by hand', () => {
  it('as node:net does', () => {
    const part = fc.constantFrom('', '0', '1', '01', '255', '256', 'ffff', 'F', 'fffff', 'g', ' 1');
    const text = fc.oneof(
      fc.array(fc.nat(300).map(String), { minLength: 3, maxLength: 5 }).map((all) => all.join('.')),
      fc.array(part, { minLength: 1, maxLength: 9 }).map((all) => all.join(':')),
      fc.ipV4(),
      fc.ipV6(),
      fc.tuple(fc.ipV6(), fc.ipV4()).map(([six, four]) => `${six.slice(0, 9)}:${four}`),
      fc.string({ maxLength: 12 }),
    );
    fc.assert(
      fc.property(text, (host) => {
        assert.equal(own.isIPv4(host), isIPv4(host), host);
        assert.equal(own.isIPv6(host), host.includes('%') ? false : isIPv6(host), host);
      }),
      { numRuns: 20_000 },
    );
    for (const host of ['::', '::1', '1::', '1:2:3:4:5:6:7::', '::ffff:1.2.3.4', '1::1.2.3.4']) {
      assert.ok(own.isIPv6(host) && isIPv6(host), host);
    }
    for (const host of [
      '1:2:3:4:5:6:7:8::',
      ':::',
      '1::2::3',
      '1.2.3.4::',
      '1:2:3:4:5:6:7:1.2.3.4',
    ]) {
      assert.ok(!own.isIPv6(host) && !isIPv6(host), host);
    }
  });

  it('together with the peer id in 300 bytes', () => {
    const host = `${'a'.repeat(60)}.`.repeat(3);
    const of = (length: number) => `${peerOf(1)} /dns4/${host}${'b'.repeat(length)}/tcp/1`;
    const short = of(300 - of(0).length);
    assert.equal(short.length, 300);
    assert.ok(own.parseIngress(short) !== null);
    assert.equal(own.parseIngress(of(301 - of(0).length)), null);
  });
});
