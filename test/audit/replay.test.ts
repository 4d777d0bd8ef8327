import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Divergence } from '#src/audit/divergence.ts';
import { type ReplayReport, replay } from '#src/audit/replay.ts';
import { orderTransactions } from '#src/ledger/order.ts';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { decodeAccount, encodeAccount } from '#src/ledger/state/account.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import { accept, assert as invariant, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Block, encodeBlock, makeBlock, transactionsRoot } from '#src/types/block.ts';
import { type Certificate, encodeCertificate } from '#src/types/certificate.ts';
import { genesisNetworkId, parseGenesis } from '#src/types/genesis.ts';
import { type Hash, hashToBytes, keccakHash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import { encodeReceipt, makeReceipt } from '#src/types/receipt.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import type { Change, Shelf } from '#storage/shelf.ts';
import { feeRecipient, people, TinyChain, TinyNetwork } from '../chain/network.ts';
import { payment } from '../ledger/samples.ts';

const network = new TinyNetwork();
const HEIGHT = 8;
const stranger = `0x${'5e'.repeat(20)}` as Address;
const other = keccakHash(utf8('other'));

/** Eight blocks: each of five people pays the next one, with memos, tips and income. */
async function record(shelf: Shelf): Promise<TinyChain> {
  const tiny = await TinyChain.create(network, shelf);
  for (let height = 1; height <= HEIGHT; height++) {
    const senders = people.slice(0, 5).filter((_, at) => (at + height) % 3 !== 0);
    const transactions = senders.map((from, at) => {
      const to = people[(at + height) % people.length]?.address ?? stranger;
      return tiny.pay(from, to, BigInt(1_000 * height + at), {
        maxPriorityFeePerGas: asWei(BigInt(at)),
        data: at % 2 === 0 ? utf8(`memo ${height}`) : new Uint8Array(0),
      });
    });
    await tiny.append(transactions);
  }
  return tiny;
}

/** A record that can be tampered with, always with valid checksums. */
class Scene {
  readonly shelf = new MemoryShelf();
  blocks: Block[] = [];

  static async make(): Promise<Scene> {
    const scene = new Scene();
    scene.blocks = (await record(scene.shelf)).events.map(({ block }) => block);
    return scene;
  }

  block(height: number): Block {
    return this.blocks[height - 1] ?? assert.fail(`block ${height}`);
  }

  payment(height: number, index: number): SignedTransaction {
    return this.block(height).transactions[index] ?? assert.fail(`payment ${height}/${index}`);
  }

  write(...changes: Change[]): Promise<void> {
    return this.shelf.write(changes);
  }

  /** Another block in this one's place, as a careful forger leaves it: indices follow. */
  async forge(block: Block, certificate?: Certificate): Promise<void> {
    const { height } = block.header;
    const at = heightKey(Number(height));
    const senders = concatBytes(...block.transactions.map(({ sender }) => addressToBytes(sender)));
    await this.write(
      { table: 'blocks', key: at, value: encodeBlock(block) },
      { table: 'heights', key: hashToBytes(this.block(Number(height)).hash), value: null },
      { table: 'heights', key: hashToBytes(block.hash), value: at },
      { table: 'senders', key: at, value: senders },
      ...block.transactions.map(
        ({ hash }, index): Change => ({
          ...{ table: 'transactions', key: hashToBytes(hash), value: place(height, index) },
        }),
      ),
    );
    if (certificate === undefined) return;
    await this.write({ table: 'certificates', key: at, value: encodeCertificate(certificate) });
  }

  /** The block with other transactions or header fields, its root and hash made right again. */
  variant(height: number, header: Partial<Header>, transactions?: SignedTransaction[]): Block {
    const block = this.block(height);
    const body = transactions ?? block.transactions;
    return makeBlock(
      { ...block.header, transactionsRoot: transactionsRoot(body), ...header },
      body,
    );
  }

  async audit(): Promise<Verdict<ReplayReport, Divergence>> {
    return replay(network.params, await ShelfChainStore.open(this.shelf), () => {});
  }
}

function heightKey(height: number): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, BigInt(height));
  return key;
}

function place(height: bigint, index: number): Uint8Array {
  const value = new Uint8Array(12);
  const words = new DataView(value.buffer);
  words.setBigUint64(0, height);
  words.setUint32(8, index);
  return value;
}

async function historyKey(scene: Scene, account: Address, nth: number): Promise<Uint8Array> {
  const from = addressToBytes(account);
  const found = await scene.shelf.range('history', { from, limit: nth + 1 });
  return found[nth]?.key ?? assert.fail('a history entry');
}

type Expected = {
  code: string;
  height: number;
  account?: Address;
  transaction?: (scene: Scene) => Hash;
  expected?: RegExp;
  found?: RegExp;
};
type Tampering = Expected & { when: string; tamper: (scene: Scene) => Promise<void> };

const [alice, bob] = people.map(({ address }) => address) as [Address, Address];
const accountOf = (scene: Scene, address: Address) =>
  decodeAccount(scene.shelf.get('accounts', addressToBytes(address)) ?? assert.fail());
const setAccount = (
  scene: Scene,
  address: Address,
  fields: { balance?: bigint; nonce?: bigint },
) => {
  const { balance, ...rest } = fields;
  const account = { ...accountOf(scene, alice), ...accountOf(scene, address), ...rest };
  const changed = { ...account, balance: asWei(balance ?? account.balance) };
  const key = addressToBytes(address);
  return scene.write({ table: 'accounts', key, value: encodeAccount(changed) });
};
const receiptsWith = (scene: Scene, height: number, change: (list: Uint8Array[]) => void) => {
  let gas = 0n;
  const list = scene.block(height).transactions.map(({ type, data }) => {
    const memo = BigInt(data.length) * 40n;
    gas += 21_000n + memo;
    const zeros = BigInt(data.filter((byte) => byte === 0).length);
    invariant(zeros === 0n, 'memos have no zero bytes');
    const fields = { type, succeeded: true, cumulativeGasUsed: asGas(gas), logs: [] };
    return encodeReceipt(makeReceipt(fields));
  });
  change(list);
  return scene.write({ table: 'receipts', key: heightKey(height), value: encodeRlp(list) });
};

const tamperings: Tampering[] = [
  {
    when: 'the balance of an account was raised',
    tamper: (scene) =>
      setAccount(scene, bob, { balance: accountOf(scene, bob).balance + 1_000_000n }),
    ...{ code: 'ACCOUNT_STORED', height: HEIGHT, account: bob },
    expected: /^balance \d+, nonce 5$/,
    found: /^balance \d+, nonce 5$/,
  },
  {
    when: 'the nonce of an account was changed',
    tamper: (scene) => setAccount(scene, alice, { nonce: 99n }),
    ...{ code: 'ACCOUNT_STORED', height: HEIGHT, account: alice },
    found: /nonce 99$/,
  },
  {
    when: 'an account was deleted',
    tamper: (scene) =>
      scene.write({ table: 'accounts', key: addressToBytes(feeRecipient), value: null }),
    ...{ code: 'ACCOUNT_STORED', height: HEIGHT, account: feeRecipient },
    found: /^nothing$/,
  },
  {
    when: 'somebody has money that no block gave',
    tamper: (scene) => {
      const value = encodeAccount({ ...accountOf(scene, alice), nonce: 0n });
      return scene.write({ table: 'accounts', key: addressToBytes(stranger), value });
    },
    ...{ code: 'ACCOUNT_STORED', height: HEIGHT, account: stranger },
    expected: /^nothing$/,
    found: /^balance \d+, nonce 0$/,
  },
  {
    when: 'a receipt says that a payment failed',
    tamper: (scene) =>
      receiptsWith(scene, 3, (list) => {
        const fields = { type: 2, succeeded: false, cumulativeGasUsed: asGas(21_000n) } as const;
        list[1] = encodeReceipt(makeReceipt({ ...fields, logs: [] }));
      }),
    ...{ code: 'RECEIPT_STORED', height: 3, transaction: (scene) => scene.payment(3, 1).hash },
  },
  {
    when: 'the last receipt of a block was removed',
    tamper: (scene) => receiptsWith(scene, 3, (list) => list.pop()),
    ...{ code: 'RECEIPT_STORED', height: 3, found: /^nothing$/ },
    transaction: (scene) => scene.payment(3, scene.block(3).transactions.length - 1).hash,
  },
  {
    when: 'all receipts of a block were removed',
    tamper: (scene) => scene.write({ table: 'receipts', key: heightKey(2), value: null }),
    ...{ code: 'RECEIPT_STORED', height: 2, found: /^nothing$/ },
    transaction: (scene) => scene.payment(2, 0).hash,
  },
  {
    when: 'a block has a receipt too many',
    tamper: (scene) => receiptsWith(scene, 3, (list) => list.push(...list.slice(0, 1))),
    ...{ code: 'RECEIPT_STORED', height: 3 },
  },
  {
    when: 'a payment was removed from a block',
    tamper: (scene) => {
      const { header, transactions } = scene.block(4);
      return scene.forge({ ...makeBlock(header, transactions.slice(1)) });
    },
    ...{ code: 'BLOCK_TRANSACTIONS_ROOT', height: 4, expected: /^0x/, found: /^0x/ },
  },
  {
    when: 'a payment was removed from a block and the root made right',
    tamper: (scene) => scene.forge(scene.variant(4, {}, scene.block(4).transactions.slice(1))),
    ...{ code: 'HEADER_stateRoot', height: 4, expected: /^0x/, found: /^0x/ },
  },
  {
    when: 'a payment was replaced by another one that its sender signed',
    tamper: (scene) => {
      const [first, ...rest] = scene.block(4).transactions;
      const from = people.find(({ address }) => address === first?.sender) ?? assert.fail();
      const raised = payment(from, { ...first, value: asWei(1n) });
      return scene.forge(scene.variant(4, {}, [raised, ...rest]));
    },
    ...{ code: 'HEADER_stateRoot', height: 4 },
  },
  {
    when: 'a payment that its sender cannot pay was put in',
    tamper: (scene) => {
      const [first, ...rest] = scene.block(4).transactions;
      const from = people.find(({ address }) => address === first?.sender) ?? assert.fail();
      const raised = payment(from, { ...first, value: asWei(10n ** 19n) });
      return scene.forge(scene.variant(4, {}, [raised, ...rest]));
    },
    ...{ code: 'BLOCK_TRANSACTION_INVALID', height: 4, found: /INSUFFICIENT_FUNDS/ },
  },
  {
    when: 'payments stand in another order',
    tamper: (scene) =>
      scene.forge(scene.variant(4, {}, [...scene.block(4).transactions].reverse())),
    ...{ code: 'BLOCK_ORDER', height: 4 },
    transaction: (scene) => [...scene.block(4).transactions].reverse()[1]?.hash ?? other,
  },
  {
    when: 'a payment stands in a second block, too',
    tamper: (scene) => {
      const again = scene.payment(3, 0);
      const { transactions, header } = scene.block(4);
      const body = orderTransactions(header.parentHash, [...transactions, again]);
      return scene.forge(scene.variant(4, {}, body)).then(() => {
        const key = hashToBytes(again.hash);
        return scene.write({ table: 'transactions', key, value: place(3n, 0) });
      });
    },
    ...{ code: 'TRANSACTION_REPEATED', height: 4, expected: /^once$/, found: /^again$/ },
    transaction: (scene) => scene.payment(3, 0).hash,
  },
  {
    when: 'a sender was written over',
    tamper: (scene) => {
      const stored = scene.shelf.get('senders', heightKey(5)) ?? assert.fail();
      const value = Uint8Array.from(stored);
      value.set(addressToBytes(stranger), 20);
      return scene.write({ table: 'senders', key: heightKey(5), value });
    },
    ...{ code: 'SENDER_STORED', height: 5, found: new RegExp(stranger) },
    transaction: (scene) => scene.payment(5, 1).hash,
  },
  {
    when: 'the senders of a block are gone',
    tamper: (scene) => scene.write({ table: 'senders', key: heightKey(5), value: null }),
    ...{ code: 'SENDER_STORED', height: 5, found: /^nothing$/ },
  },
  {
    when: 'the last certificate was removed',
    tamper: (scene) => scene.write({ table: 'certificates', key: heightKey(HEIGHT), value: null }),
    ...{ code: 'CERTIFICATE_MISSING', height: HEIGHT, found: /^nothing$/ },
  },
  {
    when: 'a certificate is not one',
    tamper: (scene) => scene.write({ table: 'certificates', key: heightKey(6), value: utf8('x') }),
    ...{ code: 'CERTIFICATE_MALFORMED', height: 6, found: /CERTIFICATE_LENGTH/ },
  },
  {
    when: 'a signature of a certificate is forged',
    tamper: (scene) => {
      const good = network.certificate(scene.block(6));
      const [first = new Uint8Array(64), ...rest] = good.signatures;
      const forged = first.map((byte, at) => (at === 9 ? byte ^ 1 : byte));
      return scene.forge(scene.block(6), { ...good, signatures: [forged, ...rest] });
    },
    ...{ code: 'CERTIFICATE_SIGNATURE', height: 6, found: /"signer":0/ },
  },
  {
    when: 'half of the validators certified a block',
    tamper: (scene) =>
      scene.forge(scene.block(6), network.certificate(scene.block(6), { signers: [1, 2] })),
    ...{ code: 'CERTIFICATE_NO_QUORUM', height: 6, found: /"weight":"2","total":"4"/ },
  },
  {
    when: 'a certificate is of another block',
    tamper: (scene) => scene.forge(scene.block(6), network.certificate(scene.block(5))),
    ...{ code: 'FINALITY_HASH', height: 6 },
  },
  {
    when: 'a certificate is of another network',
    tamper: (scene) =>
      scene.forge(
        scene.block(6),
        network.certificate(scene.block(6), { networkId: new Uint8Array(32) }),
      ),
    ...{ code: 'CERTIFICATE_SIGNATURE', height: 6 },
  },
  {
    when: 'the state root of a header was changed',
    tamper: (scene) => scene.forge(scene.variant(3, { stateRoot: other })),
    ...{ code: 'HEADER_stateRoot', height: 3, expected: /^0x/, found: new RegExp(other) },
  },
  {
    when: 'the fees of a block go to somebody else',
    tamper: (scene) => scene.forge(scene.variant(3, { coinbase: stranger })),
    ...{ code: 'HEADER_coinbase', height: 3, found: new RegExp(stranger) },
  },
  {
    when: 'a block has another time',
    tamper: (scene) => {
      const { consensus } = scene.block(3).header;
      const timestampMs = consensus.timestampMs + 1;
      return scene.forge(scene.variant(3, { consensus: { ...consensus, timestampMs } }));
    },
    ...{ code: 'FINALITY_HASH', height: 3, expected: /^0x/, found: /^0x/ },
  },
  {
    when: 'a block is from before the one it follows',
    tamper: (scene) => {
      const { consensus } = scene.block(3).header;
      const { timestampMs } = scene.block(2).header.consensus;
      return scene.forge(scene.variant(3, { consensus: { ...consensus, timestampMs } }));
    },
    ...{ code: 'BLOCK_TIME', height: 3, expected: /^later than/ },
  },
  {
    when: 'a payment is listed at another place',
    tamper: (scene) => {
      const key = hashToBytes(scene.payment(7, 1).hash);
      return scene.write({ table: 'transactions', key, value: place(7n, 0) });
    },
    ...{ code: 'TRANSACTION_INDEX', height: 7, expected: /^7\/1$/, found: /^7\/0$/ },
    transaction: (scene) => scene.payment(7, 1).hash,
  },
  {
    when: 'a payment is not listed',
    tamper: (scene) => {
      const key = hashToBytes(scene.payment(7, 1).hash);
      return scene.write({ table: 'transactions', key, value: null });
    },
    ...{ code: 'TRANSACTION_INDEX', height: 7, expected: /^7\/1$/, found: /^nothing$/ },
    transaction: (scene) => scene.payment(7, 1).hash,
  },
  {
    when: 'a payment is listed that never was',
    tamper: (scene) =>
      scene.write({ table: 'transactions', key: hashToBytes(other), value: place(7n, 0) }),
    ...{ code: 'INDEX_ENTRIES', height: HEIGHT, found: /transactions$/ },
  },
  {
    when: 'a block is listed at another height',
    tamper: (scene) => {
      const key = hashToBytes(scene.block(7).hash);
      return scene.write({ table: 'heights', key, value: heightKey(6) });
    },
    ...{ code: 'BLOCK_INDEX', height: 7, expected: /^7$/, found: /^6$/ },
  },
  {
    when: 'a history entry was deleted',
    tamper: async (scene) => {
      const key = await historyKey(scene, bob, 2);
      await scene.write({ table: 'history', key, value: null });
    },
    ...{ code: 'HISTORY_STORED', height: 1, account: bob, expected: /amount \d+/ },
  },
  {
    when: 'a history entry is of other people, with the same sum',
    tamper: async (scene) => {
      const [one, two] = [await historyKey(scene, alice, 1), await historyKey(scene, alice, 2)];
      const [a, b] = [scene.shelf.get('history', one), scene.shelf.get('history', two)];
      await scene.write(
        { table: 'history', key: one, value: b },
        { table: 'history', key: two, value: a },
      );
    },
    ...{ code: 'HISTORY_STORED', height: 1, account: alice },
  },
  {
    when: 'somebody has a history that no block gave',
    tamper: async (scene) => {
      const key = await historyKey(scene, bob, 1);
      const value = scene.shelf.get('history', key);
      const foreign = concatBytes(addressToBytes(stranger), key.subarray(20));
      await scene.write({ table: 'history', key: foreign, value });
    },
    ...{ code: 'INDEX_ENTRIES', height: HEIGHT, found: /history$/ },
  },
  {
    when: 'a node of the trie was deleted',
    tamper: async (scene) => {
      const nodes = await scene.shelf.range('trie', { limit: 100 });
      // The trie of accounts; those of storage come after it.
      const leaf = nodes.filter(({ key }) => key[0] === 0).at(-1) ?? assert.fail('a node');
      await scene.write({ table: 'trie', key: leaf.key, value: null });
    },
    ...{ code: 'TRIE_STORED', height: HEIGHT, found: /^trie node at path .*missing$/ },
  },
  {
    when: 'the root of the trie is an older one',
    tamper: (scene) => {
      const value = encodeRlp([utf8('a'), utf8('b')]);
      return scene.write({ table: 'trie', key: Uint8Array.of(0), value });
    },
    ...{ code: 'TRIE_STORED', height: HEIGHT, found: /wrong hash$/ },
  },
  {
    when: 'a block in the middle is missing',
    tamper: (scene) => scene.write({ table: 'blocks', key: heightKey(5), value: null }),
    ...{ code: 'BLOCK_MISSING', height: 5, found: /^nothing$/ },
  },
  {
    when: 'a block is not one',
    tamper: (scene) => scene.write({ table: 'blocks', key: heightKey(5), value: utf8('block') }),
    ...{ code: 'BLOCK_MALFORMED', height: 5 },
  },
  {
    when: 'a block stands in the place of another',
    tamper: (scene) =>
      scene.write({ table: 'blocks', key: heightKey(5), value: encodeBlock(scene.block(4)) }),
    ...{ code: 'BLOCK_HEIGHT', height: 5, expected: /^5$/, found: /^4$/ },
  },
  {
    when: 'a block follows another one',
    tamper: (scene) => scene.forge(scene.variant(5, { parentHash: other })),
    ...{ code: 'BLOCK_PARENT', height: 5, found: new RegExp(other) },
  },
  {
    when: 'the head names another block',
    tamper: (scene) => {
      const key = utf8('head');
      const value = Uint8Array.from(scene.shelf.get('meta', key) ?? assert.fail());
      value.set(hashToBytes(other), 8);
      return scene.write({ table: 'meta', key, value });
    },
    ...{ code: 'HEAD', height: HEIGHT, found: new RegExp(other) },
  },
];

describe('audit by replay', () => {
  it('finds an honest record sound', async () => {
    const scene = await Scene.make();
    const verdict = await scene.audit();
    assert.ok(verdict.ok, verdict.ok ? '' : JSON.stringify(verdict.refusal, String));
    const transactions = scene.blocks.reduce((sum, block) => sum + block.transactions.length, 0);
    assert.deepEqual(
      verdict,
      accept({
        ...{ height: 8n, headHash: scene.block(HEIGHT).hash, blocks: 9, certificates: 8 },
        ...{ stateRoot: scene.block(HEIGHT).header.stateRoot, transactions },
        ...{ accounts: 7 + contracts.length, supply: 9n * 10n ** 18n, currencies: [] },
      }),
    );
  });

  for (const { when, tamper, code, height, account, transaction, ...texts } of tamperings) {
    it(`says where, when ${when}`, async () => {
      const scene = await Scene.make();
      await tamper(scene);
      const verdict = await scene.audit();
      assert.ok(!verdict.ok, when);
      const { refusal } = verdict;
      assert.equal(refusal.code, code, `${refusal.expected} / ${refusal.found}`);
      assert.equal(refusal.height, BigInt(height));
      if (account !== undefined) assert.equal(refusal.account, account);
      if (transaction !== undefined) assert.equal(refusal.transaction, transaction(scene));
      if (texts.expected !== undefined) assert.match(refusal.expected, texts.expected);
      if (texts.found !== undefined) assert.match(refusal.found, texts.found);
      assert.notEqual(refusal.expected, refusal.found);
    });
  }

  it('does not miss a certificate that another one covers', async () => {
    const scene = await Scene.make();
    await scene.write({ table: 'certificates', key: heightKey(4), value: null });
    const verdict = await scene.audit();
    assert.ok(verdict.ok && verdict.value.certificates === 7);
  });

  it('finds a record of another genesis out', async () => {
    const scene = await Scene.make();
    const params = new TinyNetwork([1, 1, 1, 2]).params;
    const verdict = await replay(params, await ShelfChainStore.open(scene.shelf), () => {});
    assert.ok(!verdict.ok && verdict.refusal.code === 'GENESIS');
  });
});

describe('mpbp audit replay', () => {
  const root = mkdtempSync(join(tmpdir(), 'mpbp-audit-'));
  const sound = join(root, 'sound');
  const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');
  after(() => rmSync(root, { recursive: true, force: true }));
  const audit = (...args: string[]) =>
    spawnSync(process.execPath, [program, 'audit', 'replay', ...args], { encoding: 'utf8' });

  before(async () => {
    const shelf = await LevelShelf.create(join(root, 'chain'));
    await record(shelf);
    await shelf.close();
    cpSync(join(root, 'chain'), join(sound, 'chain'), { recursive: true });
    const genesis = parseGenesis(network.genesisText);
    assert.ok(genesis.ok);
    const networkId = genesisNetworkId(genesis.value);
    const identity = { format: 1, networkId, createdAt: new Date().toISOString() };
    writeFileSync(join(sound, 'genesis.json'), network.genesisText);
    writeFileSync(join(sound, 'identity.json'), JSON.stringify(identity));
  });

  async function tampered(name: string, ...changes: Change[]): Promise<string> {
    const path = join(root, name);
    cpSync(sound, path, { recursive: true });
    const shelf = await LevelShelf.open(join(path, 'chain'));
    await shelf.write(changes);
    await shelf.close();
    return path;
  }

  it('prints what it checked, and ends with 0', () => {
    const { status, stdout, stderr } = audit(sound);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^the record is sound/);
    assert.match(stdout, /blocks +9 to height 8/);
    assert.match(stdout, /certificates +8/);
    assert.match(stdout, /coin +9 MPB, as issued/);
    assert.match(stdout, new RegExp(`network +${network.params.networkId}`));
    const json = JSON.parse(audit(sound, '--json').stdout) as Record<string, unknown>;
    assert.equal(json.sound, true);
    assert.equal(json.height, '8');
  });

  it('prints the first divergence, and ends with 65', async () => {
    const key = addressToBytes(stranger);
    const shelf = new MemoryShelf();
    await record(shelf);
    const value = shelf.get('accounts', addressToBytes(bob));
    const path = await tampered('forged', { table: 'accounts', key, value });
    const { status, stdout } = audit(path);
    assert.equal(status, 65);
    assert.match(
      stdout,
      /^the record is NOT sound: ACCOUNT_STORED at block 8\n {2}account +0x5[eE]/,
    );
    assert.match(stdout, /\n {2}expected +nothing\n {2}found +balance \d+, nonce 5\n$/);
  });

  it('says so where the database itself is damaged, without a stack', async () => {
    const head = heightKey(HEIGHT);
    const path = await tampered('damaged', { table: 'commits', key: head, value: null });
    const { status, stdout, stderr } = audit(path);
    assert.equal(status, 65);
    assert.match(
      stdout,
      /NOT sound: the database is damaged\n.*commit record of block 8 is missing/,
    );
    assert.doesNotMatch(stdout + stderr, /\n\s+at /);
  });
});
