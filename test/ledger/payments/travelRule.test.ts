/** What both ends of a large order attest before it can be paid. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { POLICY_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { consortiumRegistry } from '#src/ledger/payments/consortiumRegistry.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { type Person, person } from '../samples.ts';
import { memberId, type Wanted } from './rig.ts';
import { acquirer, ann, bank, bea, none, ShopWorld, shop, word } from './shopWorld.ts';

type Attested = {
  referenceId: Hash;
  token: Address;
  amount: bigint;
  sender: Address;
  receiver: Address;
};

/** m2 knows the payers, m1 the merchant. */
const wallet = person(2);

class Rule extends ShopWorld {
  constructor() {
    super();
    this.ok(bank, this.threshold(1_000n));
  }
  threshold(amount: bigint, token = this.token): Wanted {
    return [policyRegistry, 'setDualAttestationThreshold', [token, amount]];
  }
  attested(referenceId: Hash, change: Partial<Attested> = {}): Attested {
    const who = { sender: ann.address, receiver: shop.address };
    return { referenceId, token: this.token, amount: 1_000n, ...who, ...change };
  }
  signature(by: Person, attested: Attested, senderMemberId = memberId(2)) {
    const domain = { name: 'MPBP PolicyRegistry', verifyingContract: POLICY_REGISTRY };
    const fields = [
      ['bytes32', 'referenceId'] as const,
      ['address', 'token'] as const,
      ['uint256', 'amount'] as const,
      ['address', 'sender'] as const,
      ['address', 'receiver'] as const,
      ['bytes32', 'senderMemberId'] as const,
    ];
    const message = { ...attested, senderMemberId };
    return this.sign(by, domain, 'DualAttestation', fields, message).signature;
  }
  attesting(attested: Attested, by = acquirer, senderMemberId = memberId(2)): Wanted {
    const { referenceId, token, amount, sender, receiver } = attested;
    const signature = this.signature(by, attested, senderMemberId);
    return [policyRegistry, 'attest', [referenceId, token, amount, sender, receiver, signature]];
  }
}

describe('an order above the threshold', () => {
  for (const captureMode of [0n, 1n]) {
    it(`is paid when both members have attested it, mode ${captureMode}`, () => {
      const world = new Rule();
      const id = world.create({ amount: 1_000n, captureMode });
      const error = world.refused('NotAttested', ann, 'pay', id).error;
      const [order, token, threshold] = error?.args ?? [];
      assert.deepEqual([order, String(token).toLowerCase()], [id, world.token]);
      assert.equal(threshold, 1_000n);
      const sent = world.ok(wallet, world.attesting(world.attested(id)));
      const [{ name, args } = assert.fail('a log')] = sent.logs;
      assert.deepEqual(
        [name, args.referenceId, args.senderMemberId, args.receiverMemberId, args.amount],
        ['DualAttested', id, memberId(2), memberId(1), 1_000n],
      );
      world.refused('NotAttested', bea, 'pay', id);
      world.do(ann, 'pay', id);
    });
  }

  it('is not paid by what was attested of something else', () => {
    const world = new Rule();
    const id = world.create({ amount: 1_000n });
    const other = world.create({ amount: 1_000n });
    const changes: Partial<Attested>[] = [
      { referenceId: other },
      { amount: 999n },
      { amount: 1_001n },
      { sender: bea.address },
      { receiver: bea.address },
    ];
    for (const change of changes) {
      world.ok(wallet, world.attesting(world.attested(id, change)));
      world.refused('NotAttested', ann, 'pay', id);
    }
    // Nor by a member that the merchant is not with.
    world.ok(wallet, world.attesting(world.attested(id), person(3)));
    world.refused('NotAttested', ann, 'pay', id);
    world.ok(wallet, world.attesting(world.attested(id)));
    world.do(ann, 'pay', id);
  });

  it('is any other order below it, and every order where there is none', () => {
    const world = new Rule();
    world.do(ann, 'pay', world.create({ amount: 999n }));
    const id = world.create({ amount: 5_000n });
    world.refused('NotAttested', ann, 'pay', id);
    world.ok(bank, world.threshold(0n));
    assert.equal(world.ledger.view(policyRegistry, 'dualAttestationThreshold', [world.token]), 0n);
    world.do(ann, 'pay', id);
  });
});

describe('an attestation', () => {
  it('is refused of whoever may not, of what cannot be, and twice', () => {
    const world = new Rule();
    const id = word('order');
    const good = world.attested(id);
    world.fails('NotAuthorized', ann, world.attesting(good));
    world.fails('UnknownToken', wallet, world.attesting({ ...good, token: POLICY_REGISTRY }));
    const odd: Partial<Attested>[] = [
      { amount: 0n },
      { amount: (1n << 256n) - 1n },
      { sender: ZERO_ADDRESS },
      { receiver: POLICY_REGISTRY },
    ];
    for (const change of odd) {
      world.fails('InvalidAttestation', wallet, world.attesting({ ...good, ...change }));
    }
    const args = Object.values(good);
    for (const signature of ['0x', `0x${'00'.repeat(65)}`, world.signature(ann, good)]) {
      world.fails('InvalidSignature', wallet, [policyRegistry, 'attest', [...args, signature]]);
    }
    // What was signed for one member's customer is of no use to another member.
    const forOther = world.signature(acquirer, good, memberId(3));
    world.fails('InvalidSignature', wallet, [policyRegistry, 'attest', [...args, forOther]]);
    world.ok(wallet, world.attesting(good));
    world.fails('AlreadyAttested', wallet, world.attesting(good));
    const asked = [...args, memberId(1)];
    assert.equal(world.ledger.view(policyRegistry, 'isAttested', asked), true);
  });

  it('is none of a member that lost its role', () => {
    const world = new Rule();
    const set = (member: number, roles: bigint): Wanted => [
      ...([consortiumRegistry, 'setRoles', [memberId(member), roles]] as const),
    ];
    assert.ok(world.ledger.decide(set(1, 1n)).ok);
    world.fails('InvalidSignature', wallet, world.attesting(world.attested(none)));
    assert.ok(world.ledger.decide(set(2, 1n)).ok);
    world.fails('NotAuthorized', wallet, world.attesting(world.attested(none)));
  });

  it("is asked for by the token's officer and nobody else", () => {
    const world = new Rule();
    world.fails('NotAuthorized', acquirer, world.threshold(1n));
    world.fails('UnknownToken', bank, world.threshold(1n, POLICY_REGISTRY));
    world.fails('AmountTooLarge', bank, world.threshold(1n << 96n));
  });
});
