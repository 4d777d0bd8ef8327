/** The guide of docs/orders.md, command by command: from a wallet to a refunded order. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { selectorOf } from '#src/ledger/payments/abi.ts';
import { EXIT } from '#src/lib/failure.ts';
import { listWallets } from '../../bin/keystoreFolder.ts';
import { Devnet, rpc, run } from './devnet.ts';

const selector = selectorOf('orderIdOf(bytes32,bytes32)');
const customer = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

describe('mpbp merchant and mpbp order', { timeout: 300_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), 'mpbp-orders-'));
  const signUp = join(root, 'shop.json');
  const shopKeys = join(root, 'shop');
  let net: Devnet;
  let url = '';
  let shop = '';

  before(async () => {
    net = await Devnet.start(['--validators', '2']);
    url = net.ready.rpc[0] ?? '';
    const password = join(root, 'password');
    writeFileSync(password, 'till\n', { mode: 0o600 });
    const made = await run([
      'wallet',
      'new',
      '--keystore',
      shopKeys,
      '--password-file',
      password,
      '--json',
    ]);
    assert.equal(made.code, EXIT.ok, made.stderr);
    shop = (JSON.parse(made.stdout) as { address: string }).address;
    writeFileSync(join(shopKeys, 'password'), 'till\n', { mode: 0o600 });
    await ok(['pay', shop, '10'], 'rich');
  });
  after(async () => {
    await net?.destroy();
    rmSync(root, { recursive: true, force: true });
  });

  type Who = 'rich' | 'shop' | 'member-0' | 'member-1';
  const as = (who: Who) => [
    ...['--keystore', who === 'shop' ? shopKeys : join(net.dir, 'wallets', who), '--rpc', url],
  ];
  const ok = async <T = Record<string, string>>(args: readonly string[], who: Who): Promise<T> => {
    const { code, stdout, stderr } = await run([...args, ...as(who), '--json']);
    assert.equal(code, EXIT.ok, `${args.join(' ')}: ${stdout}${stderr}`);
    return JSON.parse(stdout) as T;
  };
  const refused = async (args: readonly string[], who: Who, code: number, text: RegExp) => {
    const got = await run([...args, ...as(who)]);
    assert.match(got.stdout + got.stderr, text, args.join(' '));
    assert.equal(got.code, code);
    assert.doesNotMatch(got.stderr, /\n {4}at /, 'no stack for a mistake');
  };
  const create = ['order', 'create', '--merchant', 'shop', '--amount'];

  it('sign up and register a merchant', async () => {
    const mine = ['--id', 'shop', '--name', 'The Shop', '--legal-entity', 'Shop Ltd'];
    const signed = await run([
      'merchant',
      'sign-up',
      ...mine,
      '--acquirer',
      'member-1',
      ...as('shop'),
    ]);
    assert.equal(signed.code, EXIT.ok, signed.stderr);
    writeFileSync(signUp, signed.stdout);
    await refused(['merchant', 'register', signUp], 'member-0', EXIT.badData, /NotAuthorized/);
    const altered = join(root, 'altered.json');
    writeFileSync(altered, signed.stdout.replace('The Shop', 'A Shop'));
    await refused(['merchant', 'register', altered], 'member-1', EXIT.badData, /InvalidSignature/);
    for (const [text, why] of [
      ['null', /no merchant/],
      ['{"merchant":null}', /no merchant/],
      ['{"merchant":{}}', /not sound/],
    ] as const) {
      writeFileSync(altered, text);
      await refused(['merchant', 'register', altered], 'member-1', EXIT.badData, why);
    }
    await ok(['merchant', 'register', signUp], 'member-1');
    await refused(['merchant', 'register', signUp], 'member-1', EXIT.badData, /MerchantExists/);
    const { stdout } = await run(['merchant', 'show', 'shop', '--rpc', url]);
    assert.match(stdout, /The Shop/);
    assert.ok(stdout.includes(shop));
  });

  it('ask for a payment, wait for it, pay it, give a part back', async () => {
    const asked = [...create, '12.50', '--token', 'EUR', '--ref', 'no 7'];
    const { link = '', orderId = '' } = await ok(asked, 'shop');
    assert.match(link, /^ethereum:0x4D5042[0-9A-Fa-f]+@6727\/pay\?bytes32=0x/);
    await refused(asked, 'shop', EXIT.badData, /OrderRefTaken/);
    await refused(
      ['order', 'pay', link.replace('@6727', '@1')],
      'rich',
      EXIT.badData,
      /LINK_CHAIN/,
    );
    const other = link.replace(/0022@/, '0024@');
    await refused(['order', 'pay', other], 'rich', EXIT.usage, /id .* or its link/);
    const paid = await ok(['order', 'pay', link, '--yes'], 'rich');
    assert.deepEqual([paid.state, paid.payer], ['SETTLED', customer]);
    await refused(['order', 'pay', link, '--yes'], 'rich', EXIT.badData, /WrongState/);
    await refused(['order', 'refund', orderId, '12.51'], 'shop', EXIT.badData, /AmountAboveRest/);
    await refused(['order', 'refund', orderId, '1.0000001'], 'shop', EXIT.usage, /12\.50/);
    const part = await ok(['order', 'refund', orderId, '2.50'], 'shop');
    assert.equal(BigInt(part.refunded ?? 0), 2_500_000n);
    const rest = await ok(['order', 'refund', orderId], 'shop');
    assert.equal(BigInt(rest.refunded ?? 0), 12_500_000n);
    await refused(['order', 'refund', orderId], 'shop', EXIT.badData, /nothing is left/);
    const { stdout } = await run(['order', 'show', orderId, '--rpc', url]);
    assert.match(stdout, /refunded +12\.50 EUR/);
  });

  it('hold, capture a part and release the rest, in another currency', async () => {
    const asked = [...create, '40', '--token', 'USD', '--capture-later'];
    const { link = '', orderId = '' } = await ok(asked, 'shop');
    const held = await ok(['order', 'pay', link, '--yes'], 'rich');
    assert.equal(held.state, 'AUTHORIZED');
    await ok(['order', 'capture', orderId, '15'], 'shop');
    const done = await ok(['order', 'void', orderId], 'shop');
    assert.deepEqual([done.state, BigInt(done.captured ?? 0)], ['SETTLED', 15_000_000n]);
  });

  it('waiting returns when it is paid, and says so when it cannot be any more', async () => {
    const waiting = run([...create, '1', '--token', 'EUR', '--wait', '--ref', 'w1', ...as('shop')]);
    const link = await linkOf('w1');
    await ok(['order', 'pay', link, '--yes'], 'rich');
    const { code, stdout } = await waiting;
    assert.equal(code, EXIT.ok, stdout);
    assert.match(stdout, /paid by 0xf39F/);
    const late = [...create, '1', '--token', 'EUR', '--wait', '--ref', 'w2'];
    const other = run([...late, '--pay-within', '1h', ...as('shop')]);
    const id = (await linkOf('w2')).slice(-66);
    await ok(['order', 'cancel', id], 'shop');
    const ended = await other;
    assert.equal(ended.code, EXIT.badData);
    assert.match(ended.stdout, /not paid: it is CANCELLED/);
  });

  it('are listed page by page, the newest first, of a merchant and by state', async () => {
    type Page = { orders: { orderRef: string; state: string }[]; cursor: string | null };
    const pages = async (filter: object) => {
      const refs: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Page = await rpc<Page>(url, 'mpbp_listOrders', [filter, cursor, 2]);
        assert.ok(page.orders.length <= 2);
        refs.push(...page.orders.map(({ orderRef, state }) => `${text(orderRef)} ${state}`));
        cursor = page.cursor;
      } while (cursor !== null);
      return refs;
    };
    const text = (word: string) => Buffer.from(word.slice(2), 'hex').toString().replace(/\0+$/, '');
    const shopId = `0x${Buffer.from('shop').toString('hex').padEnd(64, '0')}`;
    const all = await pages({ merchantId: shopId });
    assert.equal(all.length, 4);
    assert.deepEqual([all[0], all[1], all.at(-1)], ['w2 CANCELLED', 'w1 SETTLED', 'no 7 SETTLED']);
    assert.deepEqual(await pages({}), all);
    assert.deepEqual(await pages({ merchantId: `0x${'11'.repeat(32)}` }), []);
    assert.deepEqual(await pages({ state: 'CANCELLED' }), ['w2 CANCELLED']);
    for (const params of [[{ state: 'PAID' }], [{}, 'there'], [{}, null, 0], [{}, null, 101]]) {
      await assert.rejects(rpc(url, 'mpbp_listOrders', params), JSON.stringify(params));
    }
  });

  it('other keys, and mistakes in words', async () => {
    await ok(['merchant', 'key', customer, '--id', 'shop', '--rights', 'refund'], 'shop');
    const bad = ['merchant', 'key', customer, '--id', 'shop', '--rights', 'all-of-it'];
    await refused(bad, 'shop', EXIT.usage, /none of order, capture, refund, admin/);
    await refused([...create, '0', '--token', 'EUR'], 'shop', EXIT.usage, /more than 0/);
    await refused([...create, '1', '--token', 'XXX'], 'shop', EXIT.badData, /no XXX here/);
    await refused([...create, '1', '--token', 'EURO'], 'shop', EXIT.usage, /three letters/);
    await refused(['order', 'show', `0x${'11'.repeat(32)}`], 'shop', EXIT.usage, /unknown option/);
    const nothing = ['order', 'pay', `0x${'11'.repeat(32)}`];
    await refused(nothing, 'rich', EXIT.badData, /there is no order/);
  });

  it('a rail: registered, bound, connected, with a new key, and out of service', async () => {
    const [wallet] = listWallets(join(net.dir, 'wallets', 'member-1'));
    const { address: relay } = wallet ?? assert.fail('a wallet');
    const register = ['channel', 'register', 'CARD', '--kind', 'card', '--result-key', customer];
    const connected = [...register, '--connection', relay];
    await refused(connected, 'member-0', EXIT.badData, /role channel.*NotAuthorized/);
    const unlinked = [...register, '--connection', shop];
    await refused(unlinked, 'member-1', EXIT.badData, /role connection.*InvalidAccount/);
    const slow = [...connected, '--result-within', '31d'];
    await refused(slow, 'member-1', EXIT.usage, /at most 30d/);
    const tokens = ['channel', 'register', 'TOKEN', ...connected.slice(3)];
    await refused(tokens, 'member-1', EXIT.badData, /InvalidChannel/);
    await ok(connected, 'member-1');
    await refused(connected, 'member-1', EXIT.badData, /ChannelExists/);
    const bind = ['merchant', 'bind-channel', 'CARD', '--id', 'shop', '--code', '4711'];
    const account = ['--account', 'DE89370400440532013000'];
    await refused([...bind, ...account], 'member-0', EXIT.badData, /NotAuthorized/);
    const unknown = bind.map((word) => (word === 'CARD' ? 'BANK' : word));
    await refused([...unknown, ...account], 'member-1', EXIT.badData, /no channel BANK/);
    await ok([...bind, ...account], 'member-1');
    await ok(['channel', 'heartbeat', 'CARD', '--open', '3'], 'member-1');
    await refused(['channel', 'heartbeat', 'CARD'], 'shop', EXIT.badData, /NotAuthorized/);
    const far = ['channel', 'heartbeat', 'CARD', '--seen', '999999'];
    await refused(far, 'member-1', EXIT.badData, /BlockToCome/);
    const proven = await run(['channel', 'prove-key', 'CARD', ...as('shop')]);
    assert.equal(proven.code, EXIT.ok, proven.stderr);
    const proof = join(root, 'key.json');
    writeFileSync(proof, 'null');
    await refused(['channel', 'rotate-key', proof], 'member-1', EXIT.badData, /prove-key/);
    writeFileSync(proof, proven.stdout);
    await ok(['channel', 'rotate-key', proof], 'member-1');
    await refused(['channel', 'rotate-key', proof], 'member-1', EXIT.badData, /InvalidAccount/);
    const { stdout } = await run(['channel', 'show', 'CARD', '--rpc', url]);
    assert.match(stdout, /status +active[\s\S]*member +member-1[\s\S]*works on +3 orders/);
    assert.ok(stdout.includes(shop), 'the new key');
    await ok(['channel', 'status', 'CARD', 'suspended', '--reason', 'night'], 'member-1');
    const bad = ['channel', 'status', 'CARD', 'away'];
    await refused(bad, 'member-1', EXIT.usage, /active, suspended, closed/);
  });

  it('an order on a rail: routed, agreed to, withdrawn', async () => {
    const asked = [...create, '12.50', '--token', 'EUR', '--channel', 'CARD'];
    const { orderId = '', link } = await ok(asked, 'shop');
    assert.equal(link, undefined, 'nothing to be paid with');
    await refused(['order', 'route', orderId], 'member-1', EXIT.badData, /ChannelNotActive/);
    await ok(['channel', 'status', 'CARD', 'active'], 'member-1');
    await refused(['order', 'route', orderId], 'shop', EXIT.badData, /NotAuthorized/);
    const onTokens = ['order', 'route', orderId, '--channel', 'TOKEN'];
    await refused(onTokens, 'member-1', EXIT.badData, /for channel CARD.*WrongChannel/);
    await refused(['order', 'consent', orderId, '--yes'], 'rich', EXIT.badData, /REQUESTED/);
    const routed = await ok(['order', 'route', orderId, '--rules', 'May 2026'], 'member-1');
    assert.equal(
      routed.routedChannelId,
      `0x${Buffer.from('CARD').toString('hex').padEnd(64, '0')}`,
    );
    await refused(['order', 'pay', orderId, '--yes'], 'rich', EXIT.badData, /WrongChannel/);
    const agreed = await ok(['order', 'consent', orderId, '--yes'], 'rich');
    assert.deepEqual([agreed.state, agreed.payer], ['AUTHORIZED', customer]);
    await refused(['order', 'void', orderId], 'shop', EXIT.badData, /WrongChannel/);
    const { stdout } = await run(['order', 'show', orderId, '--rpc', url]);
    assert.match(stdout, /state +AUTHORIZED[\s\S]*over +CARD/);
    const ended = await ok(['order', 'cancel', orderId], 'rich');
    assert.equal(ended.state, 'CANCELLED');
    const { orderId: other = '' } = await ok(asked, 'shop');
    const rejected = await ok(['order', 'reject', other, '--code', '7'], 'member-1');
    assert.equal(rejected.state, 'REJECTED');
    const waiting = run([...asked, '--wait', '--ref', 'w3', ...as('shop')]);
    const waited = (await linkOf('w3')).slice(-66);
    await ok(['order', 'route', waited], 'member-1');
    await ok(['order', 'consent', waited, '--yes'], 'rich');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await ok(['order', 'cancel', waited], 'shop');
    const { code, stdout: said } = await waiting;
    assert.match(said, /not paid: it is CANCELLED/, 'to agree is not to pay');
    assert.equal(code, EXIT.badData);
  });

  /** Of an order that another command has just asked for. */
  async function linkOf(ref: string): Promise<string> {
    const word = Buffer.from(ref).toString('hex').padEnd(64, '0');
    const merchant = Buffer.from('shop').toString('hex').padEnd(64, '0');
    for (let look = 0; look < 200; look++) {
      // orderIdOf(bytes32,bytes32)
      const data = `${selector}${merchant}${word}`;
      const call = { to: '0x4d50420000000000000000000000000000000022', data };
      const id = await rpc<string>(url, 'eth_call', [call, 'latest']);
      if (BigInt(id) > 0n) return `ethereum:${call.to}@6727/pay?bytes32=${id}`;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return assert.fail(`no order ${ref}`);
  }
});
