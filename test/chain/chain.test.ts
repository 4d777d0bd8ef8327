import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Chain, CheckRefusal } from '#src/chain/chain.ts';
import { provenFinal } from '#src/chain/final.ts';
import { deltaOf, type HistoryEntry } from '#src/history/history.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { atOnce } from '#src/lib/steps.ts';
import type { Address } from '#src/types/address.ts';
import { type Block, encodeBlock, makeBlock, transactionsRoot } from '#src/types/block.ts';
import { type Certificate, encodeCertificate } from '#src/types/certificate.ts';
import { hashToBytes, keccakHash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asEpoch, asGas, asHeight, asView, asWei } from '#src/types/units.ts';
import { VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { ShelfChainStore, undoBlocksMax } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { DamageError, type Shelf } from '#storage/shelf.ts';
import type { Table } from '#storage/tables.ts';
import { payment } from '../ledger/samples.ts';
import { feeRecipient, initialBalance, people, TinyChain, TinyNetwork } from './network.ts';

const [alice, bob, carol, dave, erin, frank] = people as [
  ...[(typeof people)[0], (typeof people)[0], (typeof people)[0]],
  ...[(typeof people)[0], (typeof people)[0], (typeof people)[0]],
];
const network = new TinyNetwork();
const root = mkdtempSync(join(tmpdir(), 'mpbp-chain-'));
let count = 0;
after(() => rmSync(root, { recursive: true, force: true }));

const fresh = () => TinyChain.create(network, new MemoryShelf());
const heightKey = (height: bigint) => {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, height);
  return key;
};

describe('proof of finality', () => {
  it('a commit without one does not compile', () => {
    const unproven = (chain: Chain, blocks: readonly Block[], certificate: Certificate) =>
      // @ts-expect-error only provenFinal makes FinalBlocks
      chain.commit({ blocks, certificate }, 0);
    assert.equal(typeof unproven, 'function');
  });

  type Rejected = { when: string; code: string; certificate: () => Certificate };
  const block = makeBlock(
    { ...network.params.genesis.block.header, parentHash: network.params.genesis.block.hash },
    [],
  );
  const view = { view: asView(1) };
  const header: Header = {
    ...block.header,
    height: asHeight(1n),
    consensus: { ...block.header.consensus, ...view },
  };
  const one = makeBlock(header, []);
  const good = network.certificate(one);
  const [first, second, third, fourth] = good.signatures as [
    Uint8Array,
    Uint8Array,
    ...Uint8Array[],
  ];
  const forged = Uint8Array.from(fourth ?? first);
  forged[3] = (forged[3] ?? 0) ^ 1;

  const rejected: Rejected[] = [
    {
      when: 'it is of notarization',
      code: 'FINALITY_KIND',
      certificate: () => network.certificate(one, { statement: { kind: VoteKind.Notarize } }),
    },
    {
      when: 'it gives the view up',
      code: 'FINALITY_KIND',
      certificate: () => network.certificate(one, { statement: { kind: VoteKind.Nullify } }),
    },
    {
      when: 'it is of another block',
      code: 'FINALITY_HASH',
      certificate: () => network.certificate(block),
    },
    {
      when: 'it is of no block',
      code: 'FINALITY_HASH',
      certificate: () => network.certificate(one, { statement: { blockHash: ZERO_HASH } }),
    },
    {
      when: 'it is of another view than the block',
      code: 'FINALITY_VIEW',
      certificate: () => network.certificate(one, { statement: { view: asView(2) } }),
    },
    {
      when: 'it is of another epoch',
      code: 'CERTIFICATE_EPOCH',
      certificate: () => network.certificate(one, { statement: { epoch: asEpoch(1) } }),
    },
    {
      when: 'it is of a set of another size',
      code: 'CERTIFICATE_SET_SIZE',
      certificate: () => ({ ...good, setSize: 5 }),
    },
    {
      when: 'a signer is not in the set',
      code: 'CERTIFICATE_BITMAP',
      certificate: () => ({ ...good, signers: [0, 1, 2, 4] }),
    },
    {
      when: 'a signer counts twice',
      code: 'CERTIFICATE_BITMAP',
      certificate: () => ({ ...good, signers: [0, 1, 1], signatures: [first, second, second] }),
    },
    {
      when: 'the signers are out of order',
      code: 'CERTIFICATE_BITMAP',
      certificate: () => ({ ...good, signers: [1, 0, 2, 3] }),
    },
    {
      when: 'nobody signed',
      code: 'CERTIFICATE_NO_QUORUM',
      certificate: () => network.certificate(one, { signers: [] }),
    },
    {
      when: 'half of the stake signed',
      code: 'CERTIFICATE_NO_QUORUM',
      certificate: () => network.certificate(one, { signers: [0, 3] }),
    },
    {
      when: 'it was signed for another network',
      code: 'CERTIFICATE_SIGNATURE',
      certificate: () => network.certificate(one, { networkId: new Uint8Array(32) }),
    },
    {
      when: 'one signature is forged',
      code: 'CERTIFICATE_SIGNATURE',
      certificate: () => ({ ...good, signatures: [first, second, third ?? first, forged] }),
    },
    {
      when: 'two signatures stand in each other’s place',
      code: 'CERTIFICATE_SIGNATURE',
      certificate: () => ({
        ...good,
        signatures: [second, first, third ?? first, fourth ?? first],
      }),
    },
    {
      when: 'a signature is missing',
      code: 'CERTIFICATE_SIGNATURE',
      certificate: () => ({ ...good, signatures: [first, second, third ?? first] }),
    },
    {
      when: 'the statement was changed after it was signed',
      code: 'CERTIFICATE_SIGNATURE',
      certificate: () => ({ ...good, statement: { ...good.statement, parentView: asView(7) } }),
    },
  ];
  for (const { when, code, certificate } of rejected) {
    it(`61: is refused when ${when}`, () => {
      const verdict = provenFinal([one], certificate(), network.params.electorate);
      assert.ok(!verdict.ok, when);
      assert.equal(verdict.refusal.code, code);
    });
  }

  it('61: exactly two thirds of the stake are not enough, one more is', () => {
    const uneven = new TinyNetwork([1, 1, 1]);
    const { electorate } = uneven.params;
    const two = provenFinal([one], uneven.certificate(one, { signers: [0, 1] }), electorate);
    assert.ok(!two.ok && two.refusal.code === 'CERTIFICATE_NO_QUORUM');
    assert.deepEqual(two.refusal, { code: 'CERTIFICATE_NO_QUORUM', weight: 2n, total: 3n });
    const all = provenFinal([one], uneven.certificate(one, { signers: [0, 1, 2] }), electorate);
    assert.ok(all.ok);
    const heavy = new TinyNetwork([200, 100, 1]);
    const enough = heavy.seeds.findIndex(
      (_, at) => heavy.params.electorate.set.validators[at]?.stake === 200n,
    );
    const most = heavy.certificate(one, { signers: [enough] });
    assert.ok(!provenFinal([one], most, heavy.params.electorate).ok, '200 of 301');
  });

  it('61: duplicate signers cannot even be written down', () => {
    const twice = { ...good, signers: [0, 1, 1], signatures: [first, second, second] };
    // The bitmap has one bit each: four signatures would need four bits.
    assert.equal(encodeCertificate(twice)[61], 0b11);
  });

  it('needs blocks, each on the one before', async () => {
    const { electorate } = network.params;
    const none = provenFinal([], good, electorate);
    assert.ok(!none.ok && none.refusal.code === 'FINALITY_EMPTY');
    const tiny = await fresh();
    const a = tiny.build([]);
    const b = tiny.build([], { parent: a });
    const c = tiny.build([], { parent: b });
    for (const blocks of [
      [a, c],
      [b, a, c],
      [tiny.build([], { fields: { timestampMs: 1_790_000_009_999 } }), b, c],
    ]) {
      const verdict = provenFinal(blocks, network.certificate(c), electorate);
      assert.ok(!verdict.ok && verdict.refusal.code === 'FINALITY_LINK');
    }
    assert.ok(provenFinal([a, b, c], network.certificate(c), electorate).ok);
    assert.ok(provenFinal([b, c], network.certificate(c), electorate).ok, 'from any block on');
  });
});

describe('check', () => {
  const other = keccakHash(utf8('other'));
  const consensus = (header: Header, fields: Partial<Header['consensus']>): Header => ({
    ...header,
    consensus: { ...header.consensus, ...fields },
  });
  type Change = { field: string; change: (header: Header) => Header };
  const changes: Change[] = [
    { field: 'coinbase', change: (h) => ({ ...h, coinbase: frank.address }) },
    { field: 'stateRoot', change: (h) => ({ ...h, stateRoot: other }) },
    { field: 'receiptsRoot', change: (h) => ({ ...h, receiptsRoot: other }) },
    { field: 'logsBloom', change: (h) => ({ ...h, logsBloom: new Uint8Array(256).fill(1) }) },
    { field: 'height', change: (h) => ({ ...h, height: asHeight(h.height + 1n) }) },
    { field: 'height', change: (h) => ({ ...h, height: asHeight(h.height - 1n) }) },
    { field: 'gasLimit', change: (h) => ({ ...h, gasLimit: asGas(h.gasLimit + 1n) }) },
    { field: 'gasUsed', change: (h) => ({ ...h, gasUsed: asGas(h.gasUsed - 1n) }) },
    { field: 'prevRandao', change: (h) => ({ ...h, prevRandao: other }) },
    { field: 'baseFeePerGas', change: (h) => ({ ...h, baseFeePerGas: asWei(9n) }) },
    { field: 'networkId', change: (h) => consensus(h, { networkId: other }) },
    { field: 'epoch', change: (h) => consensus(h, { epoch: asEpoch(1) }) },
    { field: 'epochEnd', change: (h) => consensus(h, { epochEnd: true }) },
    { field: 'validatorsHash', change: (h) => consensus(h, { validatorsHash: other }) },
    { field: 'nextValidatorsHash', change: (h) => consensus(h, { nextValidatorsHash: other }) },
    { field: 'paramsHash', change: (h) => consensus(h, { paramsHash: other }) },
    // Another proposer's fee recipient: the fees of this block do not go there.
    { field: 'coinbase', change: (h) => consensus(h, { proposerIndex: 3 }) },
    { field: 'coinbase', change: (h) => consensus(h, { proposerIndex: 99 }) },
  ];

  async function sample(): Promise<{ tiny: TinyChain; block: Block; verifier: TinyChain }> {
    const tiny = await fresh();
    const nonces = [0n, 1n, 2n].map((nonce) => tiny.pay(alice, bob.address, 5n, { nonce }));
    const block = tiny.build([...nonces, tiny.pay(carol, dave.address, 7n)]);
    return { tiny, block, verifier: await fresh() };
  }

  const judged = (chain: Chain, block: Block): CheckRefusal | { code: string } | null => {
    const decoded = chain.decode(encodeBlock(block));
    return decoded.ok ? atOnce(chain.check(decoded.value)) : decoded.refusal;
  };

  it('takes what another node built', async () => {
    const { verifier, block } = await sample();
    assert.equal(judged(verifier.chain, block), null);
    assert.deepEqual(
      verifier.chain.stateAfter(block.hash)?.account(dave.address)?.balance,
      10n ** 18n + 7n,
    );
  });

  for (const { field, change } of changes) {
    it(`68: refuses another ${field}`, async () => {
      const { verifier, block } = await sample();
      const changed = makeBlock(change(block.header), block.transactions);
      const refusal = judged(verifier.chain, changed);
      assert.ok(refusal !== null, field);
      assert.equal(refusal.code, 'BLOCK_HEADER');
      assert.equal('field' in refusal && refusal.field, field);
      assert.equal(verifier.chain.stateAfter(changed.hash), null, 'nothing of it is kept');
    });
  }

  it('68: leaves to agreement what a proposer may choose', async () => {
    const { verifier, block } = await sample();
    for (const fields of [
      { view: asView(9) },
      { view: asView(9), parentView: asView(3) },
      { timestampMs: 1 },
    ]) {
      const changed = makeBlock(consensus(block.header, fields), block.transactions);
      assert.equal(judged(verifier.chain, changed), null);
    }
  });

  it('68: refuses a body that is not the one of the header', async () => {
    const { verifier, block } = await sample();
    const bodies = [block.transactions.slice(1), [], [...block.transactions].reverse()];
    for (const body of bodies) {
      const refusal = judged(verifier.chain, makeBlock(block.header, body));
      assert.equal(refusal?.code, 'BLOCK_TRANSACTIONS_ROOT');
    }
  });

  it('refuses an unknown parent', async () => {
    const { verifier, block } = await sample();
    const changed = makeBlock({ ...block.header, parentHash: other }, block.transactions);
    assert.deepEqual(verifier.chain.check(changed), { code: 'PARENT_UNKNOWN', parentHash: other });
    assert.equal(
      verifier.chain.build(other, block.header.consensus, {
        candidates: () => [],
        mayBeEmpty: true,
      }),
      null,
    );
  });

  type Body = {
    when: string;
    code: string;
    index?: number;
    body: (from: readonly SignedTransaction[]) => SignedTransaction[];
  };
  const at = (own: readonly SignedTransaction[], index: number) =>
    own[index] ?? assert.fail('a sample payment');
  const bodies: Body[] = [
    {
      when: 'a payment in the middle cannot be paid',
      code: 'BLOCK_TRANSACTION_INVALID',
      index: 1,
      body: (own) => [
        at(own, 0),
        payment(alice, { nonce: 1n, value: asWei(10n ** 19n) }),
        at(own, 2),
      ],
    },
    {
      when: 'a payment stands twice',
      code: 'BLOCK_ORDER',
      index: 1,
      body: (own) => [at(own, 0), at(own, 0), at(own, 1)],
    },
    {
      when: 'a nonce is left out',
      code: 'BLOCK_TRANSACTION_INVALID',
      index: 1,
      body: (own) => [at(own, 0), at(own, 2)],
    },
    {
      when: 'nonces fall',
      code: 'BLOCK_ORDER',
      index: 1,
      body: (own) => [at(own, 1), at(own, 0)],
    },
    {
      when: 'a payment is of another chain',
      code: 'BLOCK_TRANSACTION',
      index: 1,
      body: (own) => [at(own, 0), payment(alice, { nonce: 1n, chainId: 1n })],
    },
    {
      when: 'a payment was in a block before',
      code: 'BLOCK_TRANSACTION_INVALID',
      index: 0,
      body: () => [payment(erin, { nonce: 0n })],
    },
  ];
  for (const { when, code, index, body } of bodies) {
    it(`67: refuses a block in which ${when}`, async () => {
      const tiny = await fresh();
      await tiny.append([payment(erin, { nonce: 0n })]);
      const own = [0n, 1n, 2n].map((nonce) => tiny.pay(alice, bob.address, 5n, { nonce }));
      const block = tiny.build(own);
      const transactions = body(own);
      const header = { ...block.header, transactionsRoot: transactionsRoot(transactions) };
      const refusal = judged(tiny.chain, makeBlock(header, transactions));
      assert.ok(refusal !== null, when);
      assert.equal(refusal.code, code);
      assert.equal('index' in refusal && refusal.index, index);
    });
  }

  it('67: refuses senders in another order than the rule', async () => {
    const tiny = await fresh();
    const block = tiny.build([alice, bob, carol].map((from) => tiny.pay(from, frank.address, 1n)));
    const transactions = [...block.transactions].reverse();
    const header = { ...block.header, transactionsRoot: transactionsRoot(transactions) };
    assert.deepEqual(judged(tiny.chain, makeBlock(header, transactions)), {
      ...{ code: 'BLOCK_ORDER', index: 1 },
    });
  });
});

type Kind = { name: string; make: () => Promise<{ shelf: Shelf; again: () => Promise<Shelf> }> };
const kinds: Kind[] = [
  {
    name: 'in memory',
    make: async () => {
      const shelf = new MemoryShelf();
      return { shelf, again: async () => shelf };
    },
  },
  {
    name: 'LevelDB',
    make: async () => {
      const path = join(root, `db${count++}`);
      const shelf = await LevelShelf.create(path);
      const again = async () => {
        await shelf.close();
        return LevelShelf.open(path);
      };
      return { shelf, again };
    },
  },
];

async function wholeHistory(chain: Chain, address: Address): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Chain['history']>> = await chain.history(address, cursor, 7);
    assert.ok(page !== null);
    entries.push(...page.entries);
    cursor = page.cursor;
  } while (cursor !== null);
  return entries;
}

const everybody = [...people.map(({ address }) => address), feeRecipient];
const balancesOf = (state: { account(address: Address): { balance: bigint } | null } | null) =>
  everybody.map((address) => state?.account(address)?.balance ?? 0n);

for (const { name, make } of kinds) {
  describe(`a chain ${name}`, () => {
    it('keeps blocks, receipts, places, histories, past states and its head', async () => {
      const { shelf, again } = await make();
      const tiny = await TinyChain.create(network, shelf);
      const random = new SeededRandom(5);
      const past = [balancesOf(tiny.chain.stateAt(asHeight(0n)))];
      const length = undoBlocksMax + 12;
      while (tiny.chain.head.header.height < length) {
        const senders = random.shuffle(people.slice(0, 5)).slice(0, random.below(4));
        const transactions = senders.map((from) =>
          tiny.pay(from, random.pick(everybody), BigInt(random.below(1_000)), {
            maxPriorityFeePerGas: asWei(BigInt(random.below(5))),
            data: random.chance(0.3) ? utf8('memo') : new Uint8Array(0),
          }),
        );
        await tiny.append(transactions);
        past.push(balancesOf(tiny.chain.stateAt(tiny.chain.head.header.height)));
      }
      const supply = 5n * initialBalance;
      for (const balances of past) {
        assert.equal(
          balances.reduce((sum, balance) => sum + balance, 0n),
          supply,
        );
      }

      const { head, headCertificate } = tiny.chain;
      for (const open of [() => tiny, async () => TinyChain.open(network, await again())]) {
        const { chain } = await open();
        assert.equal(chain.head.hash, head.hash);
        assert.deepEqual(chain.headCertificate, headCertificate);
        for (let height = length - undoBlocksMax; height <= length; height++) {
          const balances = balancesOf(chain.stateAt(asHeight(BigInt(height))));
          assert.deepEqual(balances, past[height], `state after block ${height}`);
        }
        assert.equal(chain.stateAt(asHeight(BigInt(length + 1))), null);
        let payments = 0;
        for (const { block, receipts } of tiny.events) {
          const { height } = block.header;
          assert.deepEqual(encodeBlock(chain.blockAt(height) ?? assert.fail()), encodeBlock(block));
          assert.deepEqual(chain.headerAt(height), block.header);
          assert.deepEqual(chain.receiptsAt(height), receipts);
          assert.equal(chain.heightOf(block.hash), height);
          assert.ok(chain.certificateBytesAt(height) !== null);
          for (const [index, { hash, sender }] of block.transactions.entries()) {
            assert.deepEqual(chain.locate(hash), { height, index });
            assert.equal(chain.blockAt(height)?.transactions[index]?.sender, sender);
            payments++;
          }
        }
        assert.ok(payments > length / 2);
        for (const [at, address] of everybody.entries()) {
          const entries = await wholeHistory(chain, address);
          const sum = entries.reduce((total, entry) => total + deltaOf(entry), 0n);
          assert.equal(sum, past[length]?.[at], `history of ${address}`);
          const places = entries.map(({ height, index }) => height * 10_000n + BigInt(index));
          const newestFirst = [...places].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
          assert.deepEqual(places, newestFirst);
        }
        assert.equal(await chain.history(alice.address, 'ff', 7), null, 'a cursor of nobody');
      }
    });

    it('forgets how to undo what is older than the window', async () => {
      const { shelf, again } = await make();
      const tiny = await TinyChain.create(network, shelf);
      for (let blocks = 0; blocks < undoBlocksMax + 3; blocks++) await tiny.append([]);
      assert.equal(tiny.store.undo(asHeight(3n)), null);
      assert.ok(tiny.store.undo(asHeight(4n)) !== null);
      const { chain } = await TinyChain.open(network, await again());
      assert.equal(chain.stateAt(asHeight(2n)), null);
      assert.ok(chain.stateAt(asHeight(3n)) !== null);
    });

    it('commits several blocks under one certificate', async () => {
      const { shelf, again } = await make();
      const tiny = await TinyChain.create(network, shelf);
      const a = tiny.build([tiny.pay(alice, bob.address, 1n)]);
      const b = tiny.build([tiny.pay(alice, bob.address, 2n, { nonce: 1n })], { parent: a });
      const c = tiny.build([tiny.pay(bob, alice.address, 4n)], { parent: b });
      await tiny.commit(a, b, c);
      assert.deepEqual(
        tiny.events.map(({ block }) => block.hash),
        [a.hash, b.hash, c.hash],
      );
      const d = tiny.build([tiny.pay(carol, alice.address, 8n)]);
      await tiny.commit(d);
      const { chain } = await TinyChain.open(network, await again());
      const certified = [1n, 2n, 3n, 4n].map((height) =>
        chain.certificateBytesAt(asHeight(height)),
      );
      assert.deepEqual(
        certified.map((bytes) => bytes !== null),
        [false, false, true, true],
      );
      assert.equal(chain.stateAt(asHeight(1n))?.account(alice.address)?.nonce, 1n);
      assert.equal(chain.account(alice.address)?.nonce, 2n);
      chain.headCertificate ?? assert.fail('the head has its certificate');
    });
  });
}

describe('commit', () => {
  it('takes only what was checked, and only on the head', async () => {
    const tiny = await fresh();
    const stranger = (await fresh()).build([payment(alice, {})]);
    await assert.rejects(tiny.commit(stranger), { name: 'InvariantError' });
    const a = tiny.build([]);
    const b = tiny.build([], { parent: a });
    await assert.rejects(tiny.commit(b), { name: 'InvariantError' });
    assert.equal(tiny.chain.head.header.height, 0n);
    await tiny.commit(a, b);
    await assert.rejects(tiny.commit(a), { name: 'InvariantError' });
  });

  it('forgets the branches that it makes impossible, and goes on with the others', async () => {
    const tiny = await fresh();
    const a = tiny.build([tiny.pay(alice, bob.address, 1n)]);
    const b = tiny.build([tiny.pay(alice, bob.address, 2n, { nonce: 1n })], { parent: a });
    const c = tiny.build([tiny.pay(bob, carol.address, 3n)], { parent: b });
    const rival = tiny.build([tiny.pay(alice, carol.address, 9n)]);
    const heir = tiny.build([tiny.pay(carol, bob.address, 9n)], { parent: rival });
    const grandheir = tiny.build([], { parent: heir });
    await tiny.commit(a);
    for (const { hash } of [rival, heir, grandheir]) {
      assert.equal(tiny.chain.stateAfter(hash), null, 'a branch that can never be final');
    }
    const state = tiny.chain.stateAfter(c.hash);
    assert.equal(state?.account(alice.address)?.nonce, 2n);
    await tiny.commit(b, c);
    assert.equal(tiny.chain.account(carol.address)?.balance, initialBalance + 3n);
  });

  it('changes nothing where the disk fails', async () => {
    const shelf = new MemoryShelf();
    let full = false;
    const failing: Shelf = {
      get: (table, key) => shelf.get(table, key),
      view: () => shelf.view(),
      range: (table, range) => shelf.range(table, range),
      write: async (changes) => {
        if (full) throw new Error('ENOSPC');
        await shelf.write(changes);
      },
      close: () => shelf.close(),
    };
    const tiny = await TinyChain.create(network, failing);
    await tiny.append([tiny.pay(alice, bob.address, 1n)]);
    const block = tiny.build([tiny.pay(alice, bob.address, 1n)]);
    full = true;
    await assert.rejects(tiny.commit(block), /ENOSPC/);
    assert.equal(tiny.chain.head.header.height, 1n);
    assert.equal(tiny.chain.account(alice.address)?.nonce, 1n);
    assert.equal(tiny.events.length, 1);
    full = false;
    await tiny.commit(block);
    assert.equal(tiny.chain.head.hash, block.hash, 'and it goes on where there is room again');
    assert.equal((await TinyChain.open(network, shelf)).chain.head.hash, block.hash);
  });
});

describe('opening', () => {
  async function five(): Promise<{ shelf: MemoryShelf; blocks: Block[] }> {
    const shelf = new MemoryShelf();
    const tiny = await TinyChain.create(network, shelf);
    const blocks: Block[] = [];
    for (let at = 0; at < 5; at++)
      blocks.push(await tiny.append([tiny.pay(alice, bob.address, 1n)]));
    return { shelf, blocks };
  }

  it('an empty store is refused, not begun anew', async () => {
    await assert.rejects(TinyChain.open(network, new MemoryShelf()), DamageError);
    const { shelf } = await five();
    await shelf.write([{ table: 'meta', key: utf8('head'), value: null }]);
    await assert.rejects(TinyChain.open(network, shelf), DamageError);
    assert.ok(shelf.get('blocks', heightKey(5n)) !== null, 'and nothing was written over');
  });

  it('101: the store of another genesis is refused', async () => {
    const { shelf } = await five();
    const other = new TinyNetwork([1, 1, 1, 2]);
    await assert.rejects(TinyChain.open(other, shelf), DamageError);
  });

  it('117: a newer schema is refused, and it is said what to do', async () => {
    const { shelf } = await five();
    await shelf.write([{ table: 'meta', key: utf8('schema'), value: Uint8Array.of(9) }]);
    await assert.rejects(ShelfChainStore.open(shelf), /schema 9, this program knows 4/);
  });

  type Damage = { when: string; table: Table; key: (blocks: readonly Block[]) => Uint8Array };
  const keyOf = (height: bigint) => () => heightKey(height);
  const damages: Damage[] = [0n, 1n, 3n, 5n].flatMap((height): Damage[] => [
    { when: `commit record ${height}`, table: 'commits', key: keyOf(height) },
    { when: `block ${height}`, table: 'blocks', key: keyOf(height) },
    {
      when: `the height of block ${height}`,
      table: 'heights',
      key: (blocks) =>
        hashToBytes((blocks[Number(height) - 1] ?? network.params.genesis.block).hash),
    },
  ]);
  for (const { when, table, key } of damages) {
    it(`117: ${when} deleted or another one is noticed`, async () => {
      const { shelf, blocks } = await five();
      const at = key(blocks);
      const right = shelf.get(table, at) ?? assert.fail('it is there');
      const wrong =
        table === 'blocks'
          ? [
              encodeBlock(
                makeBlock({ ...network.params.genesis.block.header, height: asHeight(9n) }, []),
              ),
            ]
          : [heightKey(2n), right.map((byte) => byte ^ 1)];
      for (const value of [null, ...wrong]) {
        await shelf.write([{ table, key: at, value }]);
        await assert.rejects(
          TinyChain.open(network, shelf),
          DamageError,
          `${when}: ${value === null ? 'deleted' : 'altered'}`,
        );
      }
      await shelf.write([{ table, key: at, value: right }]);
      assert.equal((await TinyChain.open(network, shelf)).chain.head.header.height, 5n);
    });
  }

  it('117: a head that is not the newest block is noticed', async () => {
    const { shelf, blocks } = await five();
    const head = shelf.get('meta', utf8('head')) ?? assert.fail('a head');
    const of = (height: bigint, block: Block | undefined) => {
      const value = Uint8Array.from(head);
      value.set(heightKey(height));
      value.set(hashToBytes(block?.hash ?? ZERO_HASH), 8);
      return value;
    };
    for (const value of [of(6n, blocks[4]), of(5n, blocks[3]), of(4n, blocks[4])]) {
      await shelf.write([{ table: 'meta', key: utf8('head'), value }]);
      await assert.rejects(TinyChain.open(network, shelf), DamageError);
    }
  });

  it('the first block on a genesis is on block 0, which everybody has', async () => {
    const tiny = await fresh();
    assert.equal(tiny.chain.head.hash, network.params.genesis.block.hash);
    assert.equal(tiny.chain.headCertificate, null);
    assert.equal(tiny.chain.blockAt(asHeight(0n))?.hash, tiny.chain.head.hash);
    const [entry] = await wholeHistory(tiny.chain, alice.address);
    assert.equal(entry?.kind, 'genesis');
    assert.equal(deltaOf(entry ?? assert.fail()), initialBalance);
  });
});
