import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { fail as tokenFail } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { describeRevert } from '../../bin/commands/membership/words.ts';
import { reservePorts } from '../ports.ts';
import { Program, type Staying } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-policy-'));
const mpbp = new Program(root);
const ann = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const rich = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

let network: Staying | null = null;

after(async () => {
  await network?.stop();
  mpbp.killAll();
  rmSync(root, { recursive: true, force: true });
});

it('a refusal by a limit says whose, of what, and what is left', () => {
  const token = `0x4d5042200000000000000000455552${'11'.repeat(5)}` as Address;
  const told = (...rest: [bigint, bigint, bigint, bigint, bigint, bigint]) => {
    const { data } = tokenFail('LimitExceeded', memberIdOf('shop'), token, ...rest);
    return describeRevert(toHex(data));
  };
  assert.equal(
    told(0n, 3n, 100_000_000n, 2_500_000n, 9n, 4n),
    'a limit of what shop may pay in a month: 2.50 of 100.00, 4 of 9 payments left',
  );
  assert.equal(
    told(1n, 0n, 100_000_000n, 100_000_000n, 0n, 0n),
    'a limit of what shop may get at once: 100.00 of 100.00 left',
  );
  const { data } = tokenFail(
    'LimitExceeded',
    ...([subjectOf(ann.toLowerCase() as Address), token, 0n, 1n, 0n, 0n, 3n, 0n] as const),
  );
  assert.match(describeRevert(toHex(data)) ?? '', /what 0x7099.*79C8 may pay in a day: 0 of 3/);
});

describe('policies on a network of two validators', { timeout: 240_000 }, () => {
  let rpc: readonly string[] = [];
  const as = (name: string) => {
    const keystore = name === 'shop' ? join(root, 'shop') : join(root, 'net', 'wallets', name);
    return ['--keystore', keystore, '--password-file', join(root, 'password'), ...rpc];
  };

  before(async () => {
    const port = await reservePorts(4);
    writeFileSync(join(root, 'password'), 'devnet\n', { mode: 0o600 });
    const ports = ['--rpc-port', `${port}`, '--p2p-port', `${port + 2}`];
    const devnet = ['devnet', '--validators', '2', '--dir', join(root, 'net'), ...ports];
    network = await mpbp.start('"ready":true', ...devnet, '--json');
    rpc = ['--rpc', `http://127.0.0.1:${port}`];
    const password = ['--password-file', join(root, 'password')];
    const made = ['wallet', 'new', '--keystore', join(root, 'shop'), ...password];
    const { address } = await mpbp.json<{ address: string }>(...made);
    await mpbp.json('pay', address, '10', ...as('rich'));
    const sign = ['--id', 'shop', '--name', 'The Shop', '--legal-entity', 'Shop Ltd'];
    const acquirer = ['--acquirer', 'member-1'];
    const signed = await mpbp.run('merchant', 'sign-up', ...sign, ...acquirer, ...as('shop'));
    assert.equal(signed.code, EXIT.ok, signed.stderr);
    writeFileSync(join(root, 'shop.json'), signed.stdout);
    await mpbp.json('merchant', 'register', join(root, 'shop.json'), ...as('member-1'));
  });

  const pay = (amount: string) => ['token', 'transfer', ann, amount, '--token', 'EUR', '--yes'];
  const order = async (amount: string) => {
    const asked = ['order', 'create', '--merchant', 'shop', '--amount', amount, '--token', 'EUR'];
    return (await mpbp.json<{ orderId: string }>(...asked, ...as('shop'))).orderId;
  };

  it('are made, changed by their admin, and shown', async () => {
    const made = ['policy', 'create', '--allow-only', ann, ...as('rich')];
    const { policyId } = await mpbp.json<{ policyId: string }>(...made);
    const shown = async (whom: string) => {
      const all = ['policy', 'show', policyId, whom, ...rpc];
      return mpbp.json<{ sends: boolean; receives: boolean; admin: string }>(...all);
    };
    assert.equal((await shown(ann)).sends, true);
    assert.equal((await shown(rich)).sends, false);
    assert.equal((await shown(rich)).admin, rich.toLowerCase());
    await mpbp.json('policy', 'allow', policyId, rich, ...as('rich'));
    await mpbp.json('policy', 'deny', policyId, ann, ...as('rich'));
    assert.deepEqual([(await shown(ann)).receives, (await shown(rich)).receives], [false, true]);
    const theirs = ['policy', 'allow', policyId, ann, ...as('member-0')];
    await mpbp.fails(EXIT.badData, /may not do this/, ...theirs);
    const denies = ['policy', 'create', '--deny', ann, ...as('rich')];
    const { policyId: other } = await mpbp.json<{ policyId: string }>(...denies);
    await mpbp.json('policy', 'allow', other, ann, ...as('rich'));
    const text = (await mpbp.run('policy', 'show', other, ann, ...rpc)).stdout;
    assert.match(text, /everybody but these accounts\n.*\nlets it send +yes/);
    await mpbp.fails(EXIT.badData, /there is no policy 99/, 'policy', 'show', '99', ...rpc);
    await mpbp.fails(EXIT.usage, /one of --allow-only/, 'policy', 'create', ...as('rich'));
  });

  it('say what an account takes', async () => {
    const receive = ['policy', 'receive', ...as('shop')];
    assert.match((await mpbp.run(...receive)).stdout, /from +everybody[\s\S]*memo +free/);
    await mpbp.json(...receive, '--memo', 'needed');
    await mpbp.json(...receive, '--tokens', '1');
    const [wallet] = await mpbp.json<{ address: string }[]>(
      ...['wallet', 'list', '--keystore', join(root, 'shop')],
    );
    const { address = '' } = wallet ?? {};
    const of = ['policy', 'receive', '--of', address, ...rpc];
    assert.deepEqual((await mpbp.json<{ requireMemo: boolean }>(...of)).requireMemo, true);
    const bare = ['token', 'transfer', address, '1', '--token', 'EUR', '--yes', ...as('rich')];
    await mpbp.fails(EXIT.badData, /takes payments with a memo only/, ...bare);
    await mpbp.json(...receive, '--memo', 'free');
    await mpbp.json(...bare);
    await mpbp.fails(EXIT.usage, /needed or free/, ...receive, '--memo', 'yes');
  });

  it('limit what an account pays, as its issuer says and nobody else', async () => {
    const limit = ['policy', 'limit', rich, '--token', 'EUR', '--direction', 'out'];
    const of = [...limit, '--per', 'day', '--amount', '100', '--count', '2'];
    await mpbp.fails(EXIT.badData, /may not do this/, ...of, ...as('rich'));
    await mpbp.json(...of, ...as('member-0'));
    await mpbp.json(...pay('60'), ...as('rich'));
    const refused = /a limit of what 0xf39F.*66 may pay in a day: 40\.00 of 100\.00, 1 of 2/;
    await mpbp.fails(EXIT.badData, refused, ...pay('41'), ...as('rich'));
    type Row = { direction: string; per: string; amount: string; used: string; usedCount: string };
    const show = ['policy', 'limit', rich, '--token', 'EUR', ...rpc];
    const [row] = await mpbp.json<Row[]>(...show);
    assert.deepEqual(
      [row?.per, row?.amount, row?.used, row?.usedCount],
      [...['day', '100.00', '60.00', '1']],
    );
    const text = (await mpbp.run(...show)).stdout;
    assert.match(text, /pays at most 100\.00 EUR and 2 payments in a day +60\.00 EUR in 1 so far/);
    await mpbp.json(...limit, '--per', 'day', '--remove', ...as('member-0'));
    await mpbp.json(...pay('41'), ...as('rich'));
    assert.match((await mpbp.run(...show)).stdout, /has no limits/);
    const odd = [...limit, '--per', 'hour', '--amount', '1', ...as('member-0')];
    await mpbp.fails(EXIT.usage, /one of payment, day, week, month, year/, ...odd);
    const nothing = [...limit, '--per', 'day', ...as('member-0')];
    await mpbp.fails(EXIT.usage, /--amount, --count or both; or --remove/, ...nothing);
    const nobody = ['policy', 'limit', 'nobody', '--token', 'EUR', ...rpc];
    await mpbp.fails(EXIT.badData, /nobody is no account, no merchant and no member/, ...nobody);
  });

  it('limit a merchant by its acquirer, a member by a vote', async () => {
    const of = ['--token', 'EUR', '--direction', 'in', '--per', 'payment', '--amount'];
    await mpbp.json('policy', 'limit', 'shop', ...of, '50', ...as('member-1'));
    const big = await order('50.01');
    const paying = (id: string) => ['order', 'pay', id, '--yes', ...as('rich')];
    await mpbp.fails(EXIT.badData, /what shop may get at once: 50\.00 of 50\.00/, ...paying(big));
    const asked = ['policy', 'limit', 'member-1', ...of, '40'];
    type Proposed = { proposalId: string };
    const { proposalId } = await mpbp.json<Proposed>(...asked, ...as('member-0'));
    const listed = await mpbp.run('vote', 'list', ...rpc);
    assert.match(listed.stdout, /see to it that member-1 gets at most 40\.00 EUR at once/);
    await mpbp.json('vote', 'yes', proposalId, ...as('member-1'));
    const smaller = await order('41');
    await mpbp.fails(EXIT.badData, /what member-1 may get at once/, ...paying(smaller));
    await mpbp.json(...paying(await order('40')));
  });

  it('are not needed to keep money from a virtual address that nobody registered', async () => {
    const virtual = `0x01020304${'fd'.repeat(10)}000000000007`;
    const euros = ['token', 'transfer', virtual, '1', '--token', 'EUR', '--yes', ...as('rich')];
    await mpbp.fails(EXIT.badData, /nobody has registered the virtual address 0x0102/, ...euros);
    await mpbp.fails(EXIT.badData, /takes no coin/, 'pay', virtual, '1', '--yes', ...as('rich'));
  });

  it('have large orders attested', async () => {
    const threshold = ['policy', 'threshold', '--token', 'EUR'];
    await mpbp.json(...threshold, '30', ...as('member-0'));
    const shown = await mpbp.run(...threshold, ...rpc);
    assert.match(shown.stdout, /from 30\.00 EUR on/);
    const id = await order('30');
    const paying = ['order', 'pay', id, '--yes', ...as('rich')];
    await mpbp.fails(EXIT.badData, /30\.00 EUR or more is attested first.*NotAttested/, ...paying);
    const attest = ['policy', 'attest', id, '--payer', rich, ...as('member-1')];
    const signed = await mpbp.json<{ signature: string }>(...attest, '--sign-for', 'member-1');
    const { signature } = signed;
    const foreign = [...attest.slice(0, 5), ...as('rich'), '--signature', signature];
    await mpbp.fails(EXIT.permission, /is no member's account/, ...foreign);
    const wrong = `${signature.slice(0, -4)}${signature.slice(-4, -2) === '00' ? '01' : '00'}1b`;
    const spoilt = [...attest, '--signature', wrong];
    await mpbp.fails(EXIT.badData, /signature is not by a key/, ...spoilt);
    await mpbp.json(...attest, '--signature', signature);
    await mpbp.json(...paying);
    await mpbp.json(...threshold, '0', ...as('member-0'));
    assert.match((await mpbp.run(...threshold, ...rpc)).stdout, /no order has to be attested/);
  });
});
