import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { payoutItemsMax } from '#src/ledger/payments/payouts.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatTokenAmount, parseTokenAmount } from '#src/types/currency.ts';
import { parsePayouts } from '../../bin/commands/currency/payoutFile.ts';
import { reservePorts } from '../ports.ts';
import { Program, type Staying } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-currency-'));
const mpbp = new Program(root);
const [ann, bea] = [
  '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
  '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC',
] as const;
const reserved = '0x4d50420000000000000000000000000000000022';

let network: Staying | null = null;
const closing: (() => void)[] = [];

after(async () => {
  // Its nodes end with it.
  await network?.stop();
  for (const close of closing) close();
  mpbp.killAll();
  rmSync(root, { recursive: true, force: true });
});

describe('amounts of a currency', () => {
  it('are read exactly, and nothing else is', () => {
    const rows: [text: string, value: bigint | null][] = [
      ['12.50', 12_500_000n],
      ['0.000001', 1n],
      ['79228162514264337593543.950335', (1n << 96n) - 1n],
      ['79228162514264337593543.950336', null],
      ...['', '1e3', '1.', '.5', '1,5', '-1', '+1', '01', '1.0000001', ' 1', '0x1', '1_000'].map(
        (text): [string, null] => [text, null],
      ),
    ];
    for (const [text, value] of rows) assert.equal(parseTokenAmount(text), value, text);
    for (const value of [0n, 1n, 12_500_000n, (1n << 96n) - 1n]) {
      assert.equal(parseTokenAmount(formatTokenAmount(value)), value);
    }
  });
});

describe('a file of payments', () => {
  const units = { baseUnits: false };
  const refused = (text: string, options = units) => {
    try {
      parsePayouts(text, options);
    } catch (error) {
      assert.ok(error instanceof UserError && error.exitCode === EXIT.badData);
      return error.message;
    }
    return assert.fail(`refused: ${text}`);
  };

  it('is read as spreadsheets write it', () => {
    const [one, two] = [`${ann},12.50,"salary, ""March"""`, ` ${bea} , 1 `];
    const text = `\ufeffAddress,Amount,Memo\r\n${one}\r\n\r\n${two}\r\n`;
    const { title, lines } = parsePayouts(text, units);
    assert.equal(title, 'Address,Amount,Memo');
    assert.deepEqual(
      lines.map(({ line, to, amount, memo }) => [line, to, amount, memoText(memo)]),
      [
        [2, ann.toLowerCase(), 12_500_000n, 'salary, "March"'],
        [4, bea.toLowerCase(), 1_000_000n, ''],
      ],
    );
    const bare = parsePayouts(`${ann},7,0x${'ab'.repeat(32)}`, { baseUnits: true });
    assert.equal(bare.title, null);
    assert.deepEqual([bare.lines[0]?.amount, bare.lines[0]?.memo], [7n, `0x${'ab'.repeat(32)}`]);
  });

  it('is refused as a whole, with every line that is wrong by its number', () => {
    const rows: [row: string, why: RegExp][] = [
      ['foo,1', /line 2: "foo": no address/],
      [`${ann.slice(0, -1)}7,1`, /line 3: .*: no address|line 3: .*checksum/],
      [`${ann.replace('C51', 'c51')},1`, /line 4: .*checksum/],
      [`${reserved},1`, /line 5: .*can hold no money/],
      [`0x${'00'.repeat(20)},1`, /line 6: .*can hold no money/],
      [ann, /line 7: the amount is missing/],
      [`${ann},1e3`, /line 8: "1e3" is not an amount/],
      [`${ann},0`, /line 9: an amount of nothing/],
      [`${ann},1.1234567`, /line 10: .*at most 6 decimals/],
      [`${ann},1,${'x'.repeat(33)}`, /line 11: a memo/],
      [`${ann},1,"x`, /line 12: a quotation mark/],
      [`${ann},1,x,y`, /line 13: 4 fields/],
      ['address,amount', /line 14: "address"/],
    ];
    const message = refused(['address,amount', ...rows.map(([row]) => row)].join('\n'));
    for (const [row, why] of rows) assert.match(message, why, row);
    assert.match(refused('foo,1\n'.repeat(50)), /line 20: .*\n {2}and 30 more$/);
    assert.match(refused('address,amount\n\n'), /no payment/);
    assert.match(refused(`${ann},1.5`, { baseUnits: true }), /a whole number of millionths/);
  });
});

describe('currencies on a network of one validator', { timeout: 240_000 }, () => {
  let rpc: readonly string[] = [];
  const rich = wallet('rich');
  const issuer = wallet('member-0');

  before(async () => {
    const port = await reservePorts(2);
    writeFileSync(join(root, 'password'), 'devnet\n', { mode: 0o600 });
    const ports = ['--rpc-port', `${port}`, '--p2p-port', `${port + 1}`];
    const devnet = ['devnet', '--validators', '1', '--dir', join(root, 'net'), ...ports];
    network = await mpbp.start('"ready":true', ...devnet, '--json');
    rpc = ['--rpc', `http://127.0.0.1:${port}`];
  });

  function wallet(name: string): readonly string[] {
    const keystore = join(root, 'net', 'wallets', name);
    return ['--keystore', keystore, '--password-file', join(root, 'password')];
  }
  const available = async (account: string, token: string, ...more: string[]) => {
    const of = ['token', 'balance', account, '--token', token, ...rpc, ...more];
    const [row] = await mpbp.json<{ available: string }[]>(...of);
    return row?.available;
  };
  const csv = (name: string, rows: readonly string[]) => {
    const path = join(root, name);
    writeFileSync(path, `${rows.join('\n')}\n`);
    return path;
  };

  it('are listed, paid in and told in currency units', async () => {
    type Listed = { code: string; issuer: string; supply: string; paused: boolean };
    const all = await mpbp.json<Listed[]>('token', 'list', ...rpc);
    const told = all.map(({ code, issuer: by, supply }) => [code, by, supply]);
    assert.deepEqual(told[0], ['EUR', 'member-0', '10000000.00']);
    assert.deepEqual(
      told.map(([code]) => code),
      ['EUR', 'USD', 'CNY'],
    );
    const pay = ['token', 'transfer', ann, '12.50', '--token', 'eur', '--memo', 'no 7'];
    const { code, stdout, stderr } = await mpbp.run(...pay, ...rpc, ...rich);
    assert.equal(code, EXIT.ok, stderr);
    assert.match(stdout, /^paid 12\.50 EUR to 0x7099/);
    assert.match(stdout, /fee 0\.00\d+ EUR\n/);
    assert.match(stderr, /memo {2}no 7\n/);
    assert.match(stderr, /fee {3}at most 0\.00\d+ EUR\n/);
    const lines = (await mpbp.run('history', ...rpc, ...rich.slice(0, 2))).stdout;
    assert.match(lines, /-12\.50 EUR +fee 0\.00\d+ +0x7099/);
    assert.doesNotMatch(lines, /-0 MPB/);
    assert.equal(await available(ann, 'EUR'), '1000012.50');
    assert.equal(await available(ann, 'EUR', '--base-units'), '1000012500000');
    const short = ['token', 'transfer', ann, '99999999', '--token', 'EUR', ...rpc, ...rich];
    await mpbp.fails(EXIT.badData, /refused: 0xf39f.* has 999987\.49\d+ to spend/, ...short);
    const dear = ['token', 'transfer', ann, '1', '--token', 'EUR', '--fee-max', '0.0000000001'];
    await mpbp.fails(EXIT.badData, /FEE_ABOVE_MAX/, ...dear, ...rpc, ...rich);
    const wrong = ['token', 'balance', ann, '--token', 'GBP', ...rpc];
    await mpbp.fails(EXIT.badData, /there is no GBP here/, ...wrong);
    await mpbp.fails(EXIT.usage, /three letters/, 'token', 'balance', ann, '--token', 'EU', ...rpc);
  });

  it('pay fees, and so does somebody else', async () => {
    const fee = (...args: string[]) => mpbp.json<Fees>('fee', ...args);
    type Fees = { lines: string[]; currencies: { currency: string; millionGas: string }[] } & {
      choice: string;
      sponsorship: { sponsor: string; remaining: string } | null;
    };
    const listed = await fee('list', ...rpc);
    assert.deepEqual(
      listed.currencies.map(({ currency, millionGas }) => [currency, millionGas]),
      ['EUR', 'USD', 'CNY'].map((code) => [code, '0.02']),
    );
    await fee('choose', 'USD', ...rpc, ...rich);
    const pay = ['token', 'transfer', ann, '1', '--token', 'EUR', ...rpc, ...rich];
    type Paid = { fees: { currency: string; paidBy: string | null }[] };
    const usd = await mpbp.json<Paid>(...pay);
    assert.deepEqual([usd.fees[0]?.currency, usd.fees[0]?.paidBy], ['USD', null]);
    await fee('choose', 'any', ...rpc, ...rich);
    const shop = await ownAddress();
    const sponsoring = ['sponsor', shop, '0.5', '--token', 'EUR', '--days', '1', ...rpc, ...rich];
    await fee(...sponsoring, '--only', 'transfer,transferWithMemo');
    const { choice, sponsorship } = await fee('list', shop, ...rpc);
    assert.deepEqual([choice, sponsorship?.remaining], ['coin', '500000']);
    const given = ['token', 'transfer', shop, '3', '--token', 'EUR', ...rpc, ...rich];
    await mpbp.json(...given);
    const own = ['token', 'transfer', ann, '1', '--token', 'EUR', ...rpc, ...wallet('member-0')];
    assert.match((await mpbp.json<Paid>(...own)).fees[0]?.paidBy ?? '', /^0xf39f/);
    const second = ['fee', 'sponsor', shop, '1', '--token', 'EUR', ...rpc, ...wallet('member-0')];
    await mpbp.fails(EXIT.badData, /nobody pays for itself.*\[InvalidAccount\]/, ...second);
    const taken = second.map((arg) => (arg === shop ? ann : arg));
    await fee('sponsor', ann, '1', '--token', 'EUR', ...rpc, ...rich);
    await mpbp.fails(EXIT.badData, /0xf39F.* pays the fees .*\[AlreadySponsored\]/, ...taken);
    const nothing = ['fee', 'collect', '--token', 'CNY', ...rpc, ...rich];
    await mpbp.fails(EXIT.badData, /no fees in CNY wait .*--for \[NothingCollected\]/, ...nothing);
    await fee('sponsor', shop, '0', '--token', 'EUR', ...rpc, ...rich);
    const wrong = ['fee', 'sponsor', shop, '1', '--token', 'EUR', '--only', 'dance', ...rpc];
    await mpbp.fails(EXIT.usage, /no function of tokens/, ...wrong, ...rich);
    const all = ['token', 'transfer', ann, 'all', '--token', 'EUR', ...rpc, ...wallet('member-0')];
    await mpbp.json(...all);
    assert.equal(await available(shop, 'EUR'), '0.00');
    const told = await fee('collect', '--token', 'EUR', '--for', shop, ...rpc, ...rich);
    assert.match(told.lines.join(), /paid 0\.0\d+ EUR of fees to/);
  });

  it('are made and issued by a member with the role, and by nobody else', async () => {
    const make = ['token', 'create', '--currency', 'CHF', '--name', 'Franc', ...rpc];
    await mpbp.fails(EXIT.permission, /is no member's account/, ...make, ...rich);
    const made = await mpbp.json<{ token: string }>(...make, ...issuer);
    await mpbp.fails(EXIT.badData, /there is this currency of this issuer/, ...make, ...issuer);
    const of = ['--token', made.token, ...rpc, ...issuer];
    await mpbp.json('token', 'mint', ann, '1000', ...of);
    await mpbp.json('token', 'mint', await ownAddress(), '50', ...of);
    await mpbp.json('token', 'burn', '20', ...of);
    assert.equal(await available(ann, 'CHF'), '1000.00');
    const stranger = ['token', 'mint', ann, '1', '--token', 'CHF', ...rpc, ...rich];
    await mpbp.fails(EXIT.badData, /has not the role/, ...stranger);
    await mpbp.json('token', 'freeze', ann, '400', ...of);
    type Row = { frozen: string; available: string };
    const [row] = await mpbp.json<Row[]>('token', 'balance', ann, '--token', 'CHF', ...rpc);
    assert.deepEqual([row?.available, row?.frozen], ['1000.00', '400.00']);
    await mpbp.json('token', 'policy', '--deny', ann, ...of);
    await mpbp.fails(EXIT.badData, /policy does not let .* receive/, ...payFrancs(of));
    await mpbp.json('token', 'policy', '--id', '1', ...of);
    await mpbp.json('token', 'pause', ...of);
    await mpbp.fails(EXIT.badData, /paused this currency/, ...payFrancs(of));
    await mpbp.json('token', 'unpause', ...of);
    await mpbp.json(...payFrancs(of));
    assert.equal(await available(ann, 'CHF'), '1001.00');
  });
  const payFrancs = (of: readonly string[]) => ['token', 'transfer', ann, '1', ...of];
  const ownAddress = async () => {
    const listed = await mpbp.json<{ address: string }[]>('wallet', 'list', ...issuer.slice(0, 2));
    return listed[0]?.address ?? assert.fail('a wallet');
  };

  it('pays a file in as many transactions as it takes, once', async () => {
    const count = payoutItemsMax + 5;
    const rows = Array.from({ length: count }, (_, at) => {
      const account = `0x${((0xabcdn << 100n) | BigInt(at)).toString(16).padStart(40, '0')}`;
      return `${account},0.${`${at + 1}`.padStart(6, '0')},no ${at}`;
    });
    const file = csv('salaries.csv', ['address,amount,memo', ...rows]);
    const batch = ['payout', 'batch', '--csv', file, '--token', 'USD', ...rpc, ...rich];
    type Done = { paid: number; total: string; transactions: string[]; failed: unknown[] };
    const done = await mpbp.json<Done>(...batch);
    const total = formatTokenAmount(BigInt((count * (count + 1)) / 2));
    assert.deepEqual([done.paid, done.total, done.failed.length], [count, total, 0]);
    assert.equal(done.transactions.length, 2);
    const last = rows.at(-1)?.split(',') ?? [];
    assert.equal(await available(last[0] ?? '', 'USD'), last[1]);
    await mpbp.fails(EXIT.badData, /ALREADY_PAID/, ...batch);
    await mpbp.fails(EXIT.usage, /BATCH_TOO_LONG/, ...batch, '--atomic', '--ref', 'again');
    assert.equal(await available(last[0] ?? '', 'USD'), last[1], 'nothing was paid twice');
    const again = await mpbp.run(...batch, '--ref', 'December');
    assert.equal(again.code, EXIT.ok, again.stderr);
    assert.match(again.stdout, new RegExp(`^paid ${total} USD in ${count} payments\n`));
    await mpbp.fails(EXIT.badData, /ALREADY_PAID/, ...batch, '--ref', 'December');
  });

  it('goes on after a failure with what is not paid yet', async () => {
    const file = csv('cut.csv', Array(payoutItemsMax + 1).fill(`${bea},0.01`));
    const batch = ['payout', 'batch', '--csv', file, '--token', 'CNY', ...rich];
    const before = Number(await available(bea, 'CNY'));
    const [, url = ''] = rpc;
    const way = await cutAfter(1, url);
    const how = new RegExp(`refused now[^]*${payoutItemsMax} of ${payoutItemsMax + 1} .*are final`);
    await mpbp.fails(EXIT.badData, how, ...batch, '--rpc', way);
    type Done = { paid: number; skipped: number };
    const { paid, skipped } = await mpbp.json<Done>(...batch, ...rpc);
    assert.deepEqual([paid, skipped], [1, payoutItemsMax]);
    const after = Number(await available(bea, 'CNY'));
    assert.equal((after - before).toFixed(2), ((payoutItemsMax + 1) / 100).toFixed(2));
  });

  /** The same node by a way that lets so many payments through and then none. */
  async function cutAfter(payments: number, url: string): Promise<string> {
    let seen = 0;
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', async () => {
        const { id, method } = JSON.parse(body);
        const error = { code: -32000, message: 'refused now' };
        const isCut = method === 'eth_sendRawTransactionSync' && ++seen > payments;
        const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
        response.end(
          isCut
            ? JSON.stringify({ jsonrpc: '2.0', id, error })
            : await (await fetch(url, init)).text(),
        );
      });
    });
    closing.push(() => void server.close());
    const port = await reservePorts(1);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${port}`;
  }

  it('says which lines were not paid and why, or pays none', async () => {
    const made = await mpbp.json<{ token: string }>(
      ...['token', 'create', '--currency', 'SEK', '--name', 'Krona', ...rpc, ...issuer],
    );
    const of = ['--token', made.token, ...rpc, ...issuer];
    await mpbp.json('token', 'mint', await ownAddress(), '100', ...of);
    await mpbp.json('token', 'policy', '--deny', ann, ...of);
    const file = csv('mixed.csv', ['address,amount', `${bea},1`, `${ann},2.50`, `${bea},3`]);
    const failed = join(root, 'failed.csv');
    const batch = ['payout', 'batch', '--csv', file, ...of];
    const why = /refused: payment 2 of the batch fails, and with it all: .*let 0x7099.* receive/;
    await mpbp.fails(EXIT.badData, why, ...batch, '--atomic');
    assert.equal(await available(bea, 'SEK'), '0.00');
    const { code, stdout, stderr } = await mpbp.run(...batch, '--failed', failed);
    assert.equal(code, EXIT.badData);
    assert.match(stdout, /^paid 4\.00 SEK in 2 payments/);
    assert.match(stdout, /line 3: not paid: 0x7099\w+ 2\.50 SEK: the currency's policy/);
    assert.match(stderr, /1 of 3 payments were not made \[ITEMS_FAILED\]/);
    assert.equal(readFileSync(failed, 'utf8'), `address,amount\n${ann},2.50\n`);
    assert.equal(await available(bea, 'SEK'), '4.00');
    await mpbp.json('token', 'policy', '--id', '1', ...of);
    const rest = ['payout', 'batch', '--csv', failed, '--atomic', ...of];
    assert.equal((await mpbp.json<{ paid: number }>(...rest)).paid, 1);
    const much = csv('much.csv', [`${bea},96`, `${bea},96`]);
    const short = ['payout', 'batch', '--csv', much, ...of];
    await mpbp.fails(EXIT.badData, /93\.50 SEK to spend; the file pays 192\.00 SEK/, ...short);
    const none = ['payout', 'batch', '--csv', join(root, 'none.csv'), ...of];
    await mpbp.fails(EXIT.badData, /no such file/, ...none);
  });
});

function memoText(memo: string): string {
  return Buffer.from(memo.slice(2), 'hex').toString('utf8').replace(/\0+$/, '');
}
