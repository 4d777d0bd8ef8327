import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ed25519PublicKey } from '#src/crypto/ed25519.ts';
import { toHex } from '#src/lib/bytes.ts';
import { type Json, JsonNumber, parseStrictJson } from '#src/lib/strictJson.ts';
import { formatAddress } from '#src/types/address.ts';
import {
  canonicalGenesis,
  defaultGovernance,
  defaultTimers,
  type Genesis,
  genesisNetworkId,
  genesisToJson,
  genesisWarnings,
  parseGenesis,
} from '#src/types/genesis.ts';
import { genesisBytesMax } from '#src/types/limits.ts';
import { anyAddress } from './samples.ts';

type Draft = Record<string, unknown>;
type Validator = Record<string, unknown>;

const alice = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const bob = '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359';
const peers = ['A', 'B', 'C', 'D'].map((letter) => `12D3KooW${letter.repeat(44)}`);

const key = (number: number) => toHex(ed25519PublicKey(new Uint8Array(32).fill(number)));

/** Four members with equal stakes, and two accounts. */
function sound() {
  const validators: Validator[] = peers.map((peerId, at) => ({
    memberId: `member-${at}`,
    consensusKey: key(at + 1),
    peerId,
    addresses: [`/ip4/192.0.2.${at + 1}/tcp/30303`],
    operator: at === 1 ? alice : `0x${`a${at}`.repeat(20)}`,
    stake: '100',
    feeRecipient: bob,
  }));
  const config: Draft = { chainId: 6727, timers: { ...defaultTimers } };
  const members: Draft[] = validators.map(({ memberId }) => ({ id: memberId, name: 'A Bank' }));
  const alloc: Draft = { [alice]: { balance: '1000' }, [bob]: { balance: '0x3e8' } };
  return { config, timestamp: 1_790_000_000, members, validators, alloc };
}

const reserved = `0x4d5042${'00'.repeat(16)}02`;
const virtual = `0x01020304${'fd'.repeat(10)}${'00'.repeat(6)}`;

type Sound = ReturnType<typeof sound>;

function changed(change: (draft: Sound) => void): string {
  const draft = sound();
  change(draft);
  return JSON.stringify(draft, null, 2);
}

const inConfig = (fields: Draft) => changed(({ config }) => Object.assign(config, fields));
const euro = { currency: 'EUR', name: 'Euro', symbol: 'EUR', issuer: 'member-1' };
const withEuro = (fields: Draft = {}, more: Draft[] = []) =>
  changed((draft) => {
    Object.assign(draft.members[1] ?? {}, { roles: 5 });
    Object.assign(draft, { currencies: [{ ...euro, ...fields }, ...more] });
  });
const inTimers = (fields: Draft) => inConfig({ timers: fields });
const inValidator = (fields: Validator, at = 1) =>
  changed(({ validators }) => Object.assign(validators[at] ?? {}, fields));
const word = (value: number) => `0x${value.toString(16).padStart(64, '0')}`;
const inAlloc = (alloc: Draft) => changed((draft) => Object.assign(draft, { alloc }));

function parsed(text: string): Genesis {
  const verdict = parseGenesis(text);
  assert.ok(verdict.ok, verdict.ok ? '' : `${verdict.refusal.path}: ${verdict.refusal.message}`);
  return verdict.value;
}

const text = JSON.stringify(sound(), null, 2);
const stakeRange = /whole number from 1 to 9223372036854775807$/;

type Row = { when: string; text: string; path: string; message: RegExp };

const rows: Row[] = [
  { when: '99: nothing', text: '', path: '$', message: /not JSON/ },
  { when: '99: not JSON', text: 'genesis', path: '$', message: /not JSON/ },
  { when: '99: no object', text: '[]', path: '$', message: /should be an object/ },
  { when: '99: cut off', text: text.slice(0, -2), path: '$', message: /does not end/ },
  { when: '99: a byte order mark', text: `\ufeff${text}`, path: '$', message: /not JSON/ },
  { when: '99: a second document', text: `${text}{}`, path: '$', message: /something follows/ },
  {
    when: '99: a comment',
    text: text.replace('{', '{ // ours\n'),
    path: '$',
    message: /text is missing.*line 1/,
  },
  {
    when: '99: a trailing comma',
    text: text.replace(/\}$/, ',}'),
    path: '$',
    message: /text is missing/,
  },
  {
    when: '99: larger than the limit',
    text: ' '.repeat(genesisBytesMax + 1),
    path: '$',
    message: /larger than 16777216 bytes/,
  },
  {
    when: '99: larger than the limit in bytes, not in characters',
    text: `"${'\u20ac'.repeat(genesisBytesMax / 2)}"`,
    path: '$',
    message: /larger than 16777216 bytes/,
  },
  {
    when: '99: one text of 15 million characters',
    text: `"${'a'.repeat(15_000_000)}"`,
    path: '$',
    message: /should be an object/,
  },
  {
    when: '99: one text of 7 million escapes',
    text: `"${'\\n'.repeat(7_000_000)}"`,
    path: '$',
    message: /should be an object/,
  },
  {
    when: '99: lists 100,000 deep',
    text: '['.repeat(100_000),
    path: `$${'[0]'.repeat(33)}`,
    message: /nested deeper than 32/,
  },
  {
    when: '99: a duplicate key at the top',
    text: text.replace('{', '{"timestamp": 1,'),
    path: '$.timestamp',
    message: /stands twice/,
  },
  {
    when: '99: a duplicate key that is spelled with an escape',
    text: text.replace('"chainId"', '"chain\\u0049d": 1, "chainId"'),
    path: '$.config.chainId',
    message: /stands twice/,
  },
  {
    when: '99: a duplicate key deep inside',
    text: text.replace('"stake"', '"stake": "1", "stake"'),
    path: '$.validators[0].stake',
    message: /stands twice/,
  },
  {
    when: '99: an unknown key at the top',
    text: changed((draft) => Object.assign(draft, { extra: 1 })),
    path: '$.extra',
    message: /not a known key/,
  },
  {
    when: '99: __proto__ as a key',
    text: text.replace('{', '{"__proto__": {},'),
    path: '$.__proto__',
    message: /not a known key/,
  },
  {
    when: '99: an unknown key in config',
    text: inConfig({ basefee: 1 }),
    path: '$.config.basefee',
    message: /not a known key/,
  },
  {
    when: '99: an unknown key in the timers',
    text: inTimers({ leader: 1 }),
    path: '$.config.timers.leader',
    message: /not a known key/,
  },
  {
    when: '99: an unknown key in a member',
    text: changed(({ members }) => Object.assign(members[2] ?? {}, { url: '' })),
    path: '$.members[2].url',
    message: /not a known key/,
  },
  {
    when: '99: an unknown key in a validator',
    text: inValidator({ weight: 1 }),
    path: '$.validators[1].weight',
    message: /not a known key/,
  },
  {
    when: '99: an unknown key in an account',
    text: inAlloc({ [alice]: { balance: 1, secretKey: 1 } }),
    path: `$.alloc["${alice}"].secretKey`,
    message: /not a known key/,
  },
  ...[
    { when: 'a nonce without code', entry: { nonce: 1 }, at: 'nonce', message: /with code/ },
    { when: 'storage without code', entry: { storage: {} }, at: 'storage', message: /with code/ },
    { when: 'code that is none', entry: { code: '0x' }, at: 'code', message: /should be code/ },
    { when: 'code of EF', entry: { code: '0xef00' }, at: 'code', message: /should be code/ },
    {
      when: 'code over 24 KiB',
      entry: { code: `0x${'00'.repeat(24_577)}` },
      at: 'code',
      message: /should be code/,
    },
    { when: 'nonce 0 of code', entry: { code: '0x00', nonce: 0 }, at: 'nonce', message: /from 1/ },
    {
      when: 'a slot of zero',
      entry: { code: '0x00', storage: { [word(1)]: word(0) } },
      at: `storage["${word(1)}"]`,
      message: /not zero/,
    },
    {
      when: 'a short slot',
      entry: { code: '0x00', storage: { '0x1': word(1) } },
      at: 'storage["0x1"]',
      message: /32 bytes/,
    },
  ].map(({ when, entry, at, message }) => ({
    when: `99: an account with ${when}`,
    text: inAlloc({ [alice]: { balance: 1, ...entry } }),
    path: `$.alloc["${alice}"].${at}`,
    message,
  })),
  {
    when: '100: no chainId',
    text: changed(({ config }) => Reflect.deleteProperty(config, 'chainId')),
    path: '$.config.chainId',
    message: /is missing/,
  },
  ...[0, '0', -1, 1.5, '1e3', '0x', '007', '18446744073709551616', `${2 ** 53}`, null, true].map(
    (chainId) => ({
      when: `100: chainId ${JSON.stringify(chainId)}`,
      text: inConfig({ chainId }),
      path: '$.config.chainId',
      message: /whole number from 1 to 9007199254740991/,
    }),
  ),
  {
    when: '100: a chainId of 100 digits',
    text: inConfig({ chainId: '9'.repeat(100) }),
    path: '$.config.chainId',
    message: /whole number/,
  },
  {
    when: '100: a base fee of nothing',
    text: inConfig({ baseFeePerGas: 0 }),
    path: '$.config.baseFeePerGas',
    message: /whole number from 1/,
  },
  {
    when: '100: a payment lane that no payment fits',
    text: inConfig({ paymentLaneGasLimit: 20_999 }),
    path: '$.config.paymentLaneGasLimit',
    message: /from 21000/,
  },
  {
    when: '100: a payment lane larger than a block',
    text: inConfig({ paymentLaneBytesMax: 2 ** 22 }),
    path: '$.config.paymentLaneBytesMax',
    message: /to 2097152/,
  },
  {
    when: '100: another fork',
    text: inConfig({ hardfork: 'prague' }),
    path: '$.config.hardfork',
    message: /should be "osaka"/,
  },
  {
    when: '100: no members',
    text: changed((draft) => draft.members.splice(0)),
    path: '$.members',
    message: /list of 1 to 1024/,
  },
  {
    when: '100: a member twice',
    text: changed(({ members }) => Object.assign(members[3] ?? {}, { id: 'member-1' })),
    path: '$.members[3].id',
    message: /stands twice/,
  },
  {
    when: '100: a name with a control character',
    text: changed(({ members }) => Object.assign(members[0] ?? {}, { name: 'A\u001b[2JB' })),
    path: '$.members[0].name',
    message: /letters, digits and spaces/,
  },
  {
    when: '100: no validators',
    text: changed((draft) => draft.validators.splice(0)),
    path: '$.validators',
    message: /list of 1 to 128/,
  },
  {
    when: '100: validators as an object',
    text: changed((draft) => Object.assign(draft, { validators: {} })),
    path: '$.validators',
    message: /list of 1 to 128/,
  },
  {
    when: '100: a validator of nobody',
    text: inValidator({ memberId: 'stranger' }),
    path: '$.validators[1].memberId',
    message: /not among the members/,
  },
  {
    when: '100: two validators with one key',
    text: inValidator({ consensusKey: key(3) }, 3),
    path: '$.validators[3].consensusKey',
    message: /stands twice/,
  },
  {
    when: '100: two validators with one key in another case',
    text: changed(({ validators }) => {
      Object.assign(validators[0] ?? {}, { consensusKey: key(9) });
      Object.assign(validators[2] ?? {}, { consensusKey: `0x${key(9).slice(2).toUpperCase()}` });
    }),
    path: '$.validators[2].consensusKey',
    message: /stands twice/,
  },
  {
    when: '100: two validators with one peer id',
    text: inValidator({ peerId: peers[0] }, 2),
    path: '$.validators[2].peerId',
    message: /stands twice/,
  },
  {
    when: '100: a key of 31 bytes',
    text: inValidator({ consensusKey: `0x${'03'.repeat(31)}` }),
    path: '$.validators[1].consensusKey',
    message: /32 bytes/,
  },
  ...[`01${'00'.repeat(31)}`, 'ff'.repeat(32), `${'00'.repeat(31)}80`].map((unsound) => ({
    when: `100: a key for which anybody can sign, or that is no point: ${unsound.slice(0, 8)}`,
    text: inValidator({ consensusKey: `0x${unsound}` }),
    path: '$.validators[1].consensusKey',
    message: /sound Ed25519 key/,
  })),
  {
    when: '100: a peer id of another kind of key',
    text: inValidator({ peerId: `Qm${'a'.repeat(44)}` }),
    path: '$.validators[1].peerId',
    message: /Ed25519 peer id/,
  },
  ...[0, 1.5, '1.5', '1e3', `${1n << 300n}`, -1, '-1', '', ' 1', null, [], `${1n << 63n}`].map(
    (stake) => ({
      when: `100: stake ${JSON.stringify(stake).slice(0, 24)}`,
      text: inValidator({ stake }),
      path: '$.validators[1].stake',
      message: stakeRange,
    }),
  ),
  {
    when: '100: stake 1e3 as a JSON number',
    text: text.replace('"stake": "100"', '"stake": 1e3'),
    path: '$.validators[0].stake',
    message: stakeRange,
  },
  {
    when: '100: stakes of 2^63 together',
    text: changed(({ validators }) => {
      for (const item of validators) item.stake = `${1n << 61n}`;
    }),
    path: '$.validators',
    message: /stakes add up to 2\^63 or more/,
  },
  {
    when: '100: an operator whose checksum is wrong',
    text: inValidator({ operator: alice.replace('aA', 'AA') }),
    path: '$.validators[1].operator',
    message: /checksum/,
  },
  ...[
    '',
    '192.0.2.1:30303',
    '/ip4/192.0.2.1/udp/30303',
    '/ip4/192.0.2.1/tcp/0',
    '/ip4/192.0.2.1/tcp/65536',
    '/ip4/192.0.2.1/tcp/030303',
    '/ip4/192.0.2.1/tcp/30303/ws',
    '/ip4/192.0.2.256/tcp/30303',
    '/ip4/node.bank/tcp/30303',
    '/ip6/192.0.2.1/tcp/30303',
    '/ip6/fe80::1%eth0/tcp/30303',
    '/dns4/-node/tcp/30303',
    '/dns4/no de/tcp/30303',
    '/dns4//tcp/30303',
    `/dns4/${'a'.repeat(254)}/tcp/30303`,
    30303,
  ].map((address) => ({
    when: `100: address ${String(address).slice(0, 30)}`,
    text: inValidator({ addresses: ['/dns4/node.bank/tcp/1', address] }),
    path: '$.validators[1].addresses[1]',
    message: /should be like/,
  })),
  {
    when: '100: no address',
    text: inValidator({ addresses: [] }),
    path: '$.validators[1].addresses',
    message: /list of 1 to 8/,
  },
  {
    when: '100: an account twice, in another case',
    text: inAlloc({ [alice]: { balance: 1 }, [alice.toLowerCase()]: { balance: 2 } }),
    path: `$.alloc["${alice.toLowerCase()}"]`,
    message: /stands twice, in another spelling/,
  },
  {
    when: '100: an account twice, once without 0x',
    text: inAlloc({ [alice]: { balance: 1 }, [alice.slice(2)]: { balance: 2 } }),
    path: `$.alloc["${alice.slice(2)}"]`,
    message: /stands twice, in another spelling/,
  },
  {
    when: '100: an account whose checksum is wrong',
    text: inAlloc({ [alice.replace('aA', 'AA')]: { balance: 1 } }),
    path: `$.alloc["${alice.replace('aA', 'AA')}"]`,
    message: /checksum/,
  },
  ...[-1, '-1', '0x', '0xg', '1.0', '1e18', '1_000', `${1n << 256n}`, null].map((balance) => ({
    when: `100: balance ${JSON.stringify(balance).slice(0, 24)}`,
    text: inAlloc({ [alice]: { balance } }),
    path: `$.alloc["${alice}"].balance`,
    message: /whole number from 0/,
  })),
  {
    when: '100: no balance',
    text: inAlloc({ [alice]: {} }),
    path: `$.alloc["${alice}"].balance`,
    message: /is missing/,
  },
  {
    when: '100: balances of 2^256 together',
    text: inAlloc({ [alice]: { balance: `${(1n << 256n) - 1n}` }, [bob]: { balance: 1 } }),
    path: `$.alloc["${alice}"]`,
    message: /add up to 2\^256 or more/,
  },
  {
    when: '100: balances and stakes of 2^256 together',
    text: inAlloc({ [bob]: { balance: `${(1n << 256n) - 400n * 10n ** 18n}` } }),
    path: `$.alloc["${bob}"]`,
    message: /add up to 2\^256 or more/,
  },
  ...[reserved, `0x4d5042200000000000000000${'11'.repeat(8)}`].map((address) => ({
    when: `100: coin at the reserved address ${address}`,
    text: inAlloc({ [address]: { balance: 1 } }),
    path: `$.alloc["${address}"]`,
    message: /reserved/,
  })),
  {
    when: '100: coin at a virtual address',
    text: inAlloc({ [virtual]: { balance: 1 } }),
    path: `$.alloc["${virtual}"]`,
    message: /virtual/,
  },
  ...['operator', 'feeRecipient'].flatMap((key) =>
    [
      [reserved, /reserved/] as const,
      [`0x${'00'.repeat(20)}`, /zero address/] as const,
      [virtual, /virtual/] as const,
    ].map(([address, message]) => ({
      when: `100: ${key} ${address}`,
      text: inValidator({ [key]: address }),
      path: `$.validators[1].${key}`,
      message,
    })),
  ),
  {
    when: '100: a member without validator and without admin',
    text: changed(({ members }) => members.push({ id: 'idle', name: 'Idle' })),
    path: '$.members[4].admin',
    message: /is missing/,
  },
  {
    when: '100: roles that nobody knows',
    text: changed(({ members }) => Object.assign(members[0] ?? {}, { roles: 1024 })),
    path: '$.members[0].roles',
    message: /from 0 to 1023/,
  },
  {
    when: '100: an epoch of no blocks',
    text: inConfig({ epochBlocksMin: 0 }),
    path: '$.config.epochBlocksMin',
    message: /from 1/,
  },
  ...(
    [
      ['voteSeconds', 0],
      ['delaySeconds', -1],
      ['unbondingSeconds', 1e10],
      ['slashBps', 10_001],
      ['quorum', 1],
    ] as const
  ).map(([key, value]) => ({
    when: `100: governance.${key} ${value}`,
    text: inConfig({ governance: { [key]: value } }),
    path: `$.config.governance.${key}`,
    message: key === 'quorum' ? /not a known key/ : /whole number from/,
  })),
  {
    when: '100: a timestamp in milliseconds',
    text: changed((draft) => Object.assign(draft, { timestamp: 1_790_000_000_000 })),
    path: '$.timestamp',
    message: /whole number from 0/,
  },
  {
    when: '100: a timer of 0',
    text: inTimers({ retryMs: 0 }),
    path: '$.config.timers.retryMs',
    message: /from 1/,
  },
  {
    when: '100: views that end before their leader has spoken',
    text: inTimers({ leaderMs: 500, advanceMs: 500 }),
    path: '$.config.timers.advanceMs',
    message: /more than leaderMs/,
  },
  {
    when: '100: empty blocks rarer than a leader waits',
    text: inTimers({ minEmptyIntervalMs: 250 }),
    path: '$.config.timers.minEmptyIntervalMs',
    message: /less than leaderMs/,
  },
  {
    when: '100: a cap below the timer that it caps',
    text: inTimers({ capMs: 499 }),
    path: '$.config.timers.capMs',
    message: /at least advanceMs/,
  },
  {
    when: '100: a heartbeat faster than a view',
    text: inConfig({ heartbeatMs: 1_000, timers: { advanceMs: 1_000 } }),
    path: '$.config.heartbeatMs',
    message: /more than timers.advanceMs/,
  },
];

describe('a genesis is refused, with its path', () => {
  for (const { when, text: json, path, message } of rows) {
    it(when, () => {
      const verdict = parseGenesis(json);
      assert.ok(!verdict.ok, when);
      assert.equal(verdict.refusal.path, path);
      assert.match(verdict.refusal.message, message);
    });
  }
});

describe('currencies of a genesis', () => {
  it('have an admin, and balances, in any spelling', () => {
    const { currencies } = parsed(withEuro({ alloc: { [alice]: '0x10', [bob]: 5 } }));
    const [one] = currencies;
    assert.equal(one?.admin, alice.toLowerCase(), 'of the member, where none is named');
    assert.deepEqual([...(one?.alloc.values() ?? [])].sort(), [16n, 5n]);
    const id = genesisNetworkId(parsed(withEuro()));
    assert.notEqual(id, genesisNetworkId(parsed(text)));
    for (const change of [
      { name: 'E' },
      { symbol: 'E' },
      { admin: bob },
      { alloc: { [bob]: 1 } },
    ]) {
      assert.notEqual(id, genesisNetworkId(parsed(withEuro(change))), JSON.stringify(change));
    }
    const again = JSON.stringify(genesisToJson(parsed(withEuro({ alloc: { [bob]: 7 } }))));
    const same = parsed(withEuro({ alloc: { [bob.toLowerCase()]: '0x7' } }));
    assert.equal(genesisNetworkId(parsed(again)), genesisNetworkId(same));
  });

  /** `alice` is the operator of member-1's validator. */
  const conduit = (account: string) =>
    changed((draft) => {
      Object.assign(draft.members[1] ?? {}, { roles: 5 | 16 });
      Object.assign(draft, { currencies: [{ ...euro, alloc: { [account]: 1 } }] });
    });
  const most = ((1n << 96n) - 1n).toString();
  const rows: [when: string, json: string, path: RegExp][] = [
    ['small letters', withEuro({ currency: 'eur' }), /\.currency$/],
    ['a name that breaks a line', withEuro({ name: 'a\nb' }), /\.name$/],
    ['a symbol with a space', withEuro({ symbol: 'E R' }), /\.symbol$/],
    ['an issuer that is no member', withEuro({ issuer: 'nobody' }), /\.issuer$/],
    ['an issuer without the role', withEuro({ issuer: 'member-2' }), /\.issuer$/],
    ['one that stands twice', withEuro({}, [euro]), /\[1\]\.currency$/],
    ['money of the zero address', withEuro({ alloc: { [`0x${'00'.repeat(20)}`]: 1 } }), /alloc/],
    ['money of the system', withEuro({ alloc: { [reserved]: 1 } }), /alloc/],
    ['money of a virtual address', withEuro({ alloc: { [virtual]: 1 } }), /alloc/],
    ['money below zero', withEuro({ alloc: { [alice]: -1 } }), /alloc/],
    ['too much money', withEuro({ alloc: { [alice]: most, [bob]: 1 } }), /alloc/],
    ['money of a member that passes payments on', conduit(alice), /alloc/],
    ['an unknown key', withEuro({ decimals: 2 }), /\.decimals$/],
  ];
  it('are had by a stranger beside a member that passes payments on', () => {
    assert.ok(parseGenesis(conduit(bob)).ok);
  });
  for (const [when, json, path] of rows) {
    it(`refuse ${when}`, () => {
      const verdict = parseGenesis(json);
      assert.ok(!verdict.ok, when);
      assert.match(verdict.refusal.path, path);
    });
  }
});

describe('the meaning of a genesis', () => {
  const hash = genesisNetworkId(parsed(text));

  it('100: is the same for files that only look different', () => {
    const reverse = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reverse);
      if (typeof value !== 'object' || value === null) return value;
      const entries = Object.entries(value).reverse();
      return Object.fromEntries(entries.map(([key, item]) => [key, reverse(item)]));
    };
    const same: [string, string][] = [
      ['other white space', JSON.stringify(sound())],
      ['keys in another order', JSON.stringify(reverse(sound()))],
      ['numbers in hexadecimal', inConfig({ chainId: '0x1a47' })],
      ['numbers as text', inConfig({ chainId: '6727', baseFeePerGas: '10000000' })],
      ['defaults written out', inConfig({ hardfork: 'osaka', heartbeatMs: 10_000 })],
      ['defaults left out', changed(({ config }) => Reflect.deleteProperty(config, 'timers'))],
      ['addresses in lower case', inValidator({ operator: alice.toLowerCase() })],
      [
        'accounts without 0x, the other way round',
        inAlloc({ [bob.slice(2)]: { balance: 1000 }, [alice.toLowerCase()]: { balance: '0x3E8' } }),
      ],
      ['what is printed of it', JSON.stringify(genesisToJson(parsed(text)))],
    ];
    for (const [when, other] of same) {
      assert.deepEqual(canonicalGenesis(parsed(other)), canonicalGenesis(parsed(text)), when);
    }
  });

  it('101: is another one with anything changed', () => {
    const others: Record<string, string> = {
      chainId: inConfig({ chainId: 6728 }),
      baseFeePerGas: inConfig({ baseFeePerGas: 10_000_001 }),
      paymentLaneGasLimit: inConfig({ paymentLaneGasLimit: 42_000 }),
      evmLaneGasLimit: inConfig({ evmLaneGasLimit: 42_000 }),
      paymentLaneBytesMax: inConfig({ paymentLaneBytesMax: 2_048 }),
      heartbeatMs: inConfig({ heartbeatMs: 10_001 }),
      timestamp: changed((draft) => Object.assign(draft, { timestamp: 1_790_000_001 })),
      memberId: changed(({ members, validators }) => {
        Object.assign(members[0] ?? {}, { id: 'x' });
        Object.assign(validators[0] ?? {}, { memberId: 'x' });
      }),
      memberName: changed(({ members }) => Object.assign(members[0] ?? {}, { name: 'x' })),
      consensusKey: inValidator({ consensusKey: key(9) }),
      peerId: inValidator({ peerId: `12D3KooW${'E'.repeat(44)}` }),
      addresses: inValidator({ addresses: ['/dns4/node.bank/tcp/30303'] }),
      operator: inValidator({ operator: bob }),
      stake: inValidator({ stake: '101' }),
      feeRecipient: inValidator({ feeRecipient: alice }),
      balance: inAlloc({ [alice]: { balance: 1001 }, [bob]: { balance: 1000 } }),
      account: inAlloc({ [alice]: { balance: 1000 } }),
      code: inAlloc({ [alice]: { balance: 1000, code: '0x00' }, [bob]: { balance: 1000 } }),
      nonce: inAlloc({
        [alice]: { balance: 1000, code: '0x00', nonce: 2 },
        [bob]: { balance: 1000 },
      }),
      storage: inAlloc({
        [alice]: { balance: 1000, code: '0x00', storage: { [word(1)]: word(2) } },
        [bob]: { balance: 1000 },
      }),
    };
    others.epochBlocksMin = inConfig({ epochBlocksMin: 11 });
    for (const key of Object.keys(defaultGovernance) as (keyof typeof defaultGovernance)[]) {
      others[key] = inConfig({ governance: { [key]: defaultGovernance[key] + 1 } });
    }
    for (const [key, value] of Object.entries({ admin: bob, roles: 3 })) {
      others[key] = changed(({ members }) => Object.assign(members[1] ?? {}, { [key]: value }));
    }
    for (const key of Object.keys(defaultTimers) as (keyof typeof defaultTimers)[]) {
      others[key] = inTimers({ ...defaultTimers, [key]: defaultTimers[key] + 1 });
    }
    const seen = new Map([[hash, 'the first']]);
    for (const [name, other] of Object.entries(others)) {
      const id = genesisNetworkId(parsed(other));
      assert.equal(seen.get(id), undefined, name);
      seen.set(id, name);
    }
  });

  it('is the same for accounts in any order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyAddress, { maxLength: 12 }), (addresses) => {
        const accounts = addresses.map((address, at): [string, unknown] => [
          at % 2 === 0 ? address : formatAddress(address),
          { balance: at % 3 === 0 ? `0x${at.toString(16)}` : at },
        ]);
        const one = parsed(inAlloc(Object.fromEntries(accounts)));
        const other = parsed(inAlloc(Object.fromEntries(accounts.reverse())));
        assert.equal(genesisNetworkId(one), genesisNetworkId(other));
        assert.equal(one.alloc.size, addresses.length);
      }),
      { numRuns: 50 },
    );
  });

  it('102: warns of a key that can stop the network, and of one that decides alone', () => {
    const stakes = (list: readonly number[]) =>
      genesisWarnings(
        parsed(
          changed(({ validators }) => {
            for (const [at, item] of validators.entries()) item.stake = list[at];
          }),
        ),
      );
    assert.deepEqual(stakes([1, 1, 1, 1]), []);
    assert.deepEqual(stakes([33, 33, 33, 1]), []);
    assert.match(stakes([1, 1, 1, 2])[0] ?? '', /member-3 has 40 % .* can stop/);
    assert.match(stakes([1, 1, 2, 2])[0] ?? '', /member-2 has 33 % .* can stop/);
    const [only, ...rest] = stakes([1, 1, 1, 7]);
    assert.match(only ?? '', /member-3 has 70 % .* decides alone/);
    assert.deepEqual(rest, []);
    const both = changed(({ validators, members }) => {
      Object.assign(validators[1] ?? {}, { memberId: 'member-0' });
      members.splice(1, 1);
    });
    assert.match(genesisWarnings(parsed(both))[0] ?? '', /member-0 has 50 % .* can stop/);
    const idle = (admin: string) =>
      genesisWarnings(
        parsed(changed(({ members }) => members.push({ id: 'idle', name: 'Idle', admin }))),
      );
    assert.deepEqual(idle(bob), ['member idle has no validator']);
    assert.deepEqual(idle(alice), [
      'member idle has no validator',
      'members member-1 and idle have one admin: it votes for member-1 only',
    ]);
  });

  it('gives a member its admin and its roles by its first validator', () => {
    const { members, config } = parsed(text);
    assert.deepEqual(members[1], {
      ...{ id: 'member-1', name: 'A Bank', roles: 1 },
      admin: alice.toLowerCase(),
    });
    assert.deepEqual(config.governance, defaultGovernance);
    assert.equal(config.epochBlocksMin, 10);
    const other = changed(({ members: list }) => Object.assign(list[1] ?? {}, { admin: bob }));
    assert.equal(parsed(other).members[1]?.admin, bob.toLowerCase());
  });
});

describe('strict JSON', () => {
  /** As JSON.parse gives it. */
  function plain(json: Json): unknown {
    if (json instanceof JsonNumber) return JSON.parse(json.text);
    if (Array.isArray(json)) return (json as readonly Json[]).map(plain);
    if (!(json instanceof Map)) return json;
    const found: Record<string, unknown> = {};
    for (const [key, value] of json as ReadonlyMap<string, Json>) {
      Object.defineProperty(found, key, {
        value: plain(value),
        ...{ enumerable: true, configurable: true, writable: true },
      });
    }
    return found;
  }

  it('reads what JSON.parse reads', () => {
    const padded = fc.tuple(fc.json({ maxDepth: 8 }), fc.constantFrom('', ' ', '\t', '\r\n'));
    fc.assert(
      fc.property(padded, ([json, space]) => {
        const verdict = parseStrictJson(`${space}${json}${space}`);
        assert.ok(verdict.ok, json);
        assert.deepEqual(plain(verdict.value), JSON.parse(json));
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what JSON.parse refuses, and beyond that only keys that stand twice', () => {
    const cuts = fc.array(fc.tuple(fc.nat(200), fc.constantFrom(...'{}[]",:\\0e-. tn\n\u0000')), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), cuts, (json, changes) => {
        const characters = [...json];
        for (const [at, character] of changes) characters[at % characters.length] = character;
        const damaged = characters.join('');
        const verdict = parseStrictJson(damaged);
        let want: unknown;
        try {
          want = JSON.parse(damaged);
        } catch {
          assert.ok(!verdict.ok, damaged);
          return;
        }
        if (verdict.ok) assert.deepEqual(plain(verdict.value), want, damaged);
        else assert.match(verdict.refusal.message, /stands twice/, damaged);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps every digit of a number', () => {
    const verdict = parseStrictJson('[9007199254740993, 1.10, -0, 1E+2]');
    assert.ok(verdict.ok && Array.isArray(verdict.value));
    const texts = (verdict.value as readonly JsonNumber[]).map((item) => item.text);
    assert.deepEqual(texts, ['9007199254740993', '1.10', '-0', '1E+2']);
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (json) => {
        const verdict = parseStrictJson(json);
        if (!verdict.ok) assert.match(verdict.refusal.path, /^\$/);
      }),
    );
    assert.equal(parseStrictJson(toHex(new Uint8Array(3))).ok, false);
  });
});
