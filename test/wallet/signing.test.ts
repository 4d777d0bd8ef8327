import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Wallet } from 'ethers';
import { verifyMessage, verifyTypedData } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { formatAddress } from '#src/types/address.ts';
import { addressOfKey } from '#src/wallet/keystore.ts';
import { messageDigest } from '#src/wallet/message.ts';
import { signDigest, signerOfDigest } from '#src/wallet/signature.ts';
import { describeTypedDataRefusal, parseTypedData } from '#src/wallet/typedData.ts';
import { readVectors, testWithVectors } from '../types/vectors.ts';

const secret = new Uint8Array(32).fill(0x4c);
const address = formatAddress(addressOfKey(secret)) as `0x${string}`;
const ethers = new Wallet(toHex(secret));
const viem = privateKeyToAccount(toHex(secret));

describe('messages (EIP-191)', () => {
  it('signed here are those of ethers and viem, which verify them, and the reverse', async () => {
    for (const text of ['', 'invoice 7', 'zwölf €', '\u0000\n', 'x'.repeat(1_000)]) {
      const signature = toHex(signDigest(messageDigest(utf8(text)), secret));
      assert.equal(signature, await ethers.signMessage(text), text);
      assert.equal(signature, await viem.signMessage({ message: text }), text);
      assert.ok(await verifyMessage({ address, message: text, signature }));
      const signer = signerOfDigest(messageDigest(utf8(text)), signature);
      assert.ok(signer.ok && formatAddress(signer.value) === address);
    }
  });

  it('have one signature and no twin', () => {
    const digest = messageDigest(utf8('pay'));
    const signature = signDigest(digest, secret);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = BigInt(toHex(signature.subarray(32, 64)));
    const twinS = (order - s).toString(16).padStart(64, '0');
    const v = signature[64] === 27 ? '1c' : '1b';
    const head = toHex(signature.subarray(0, 32));
    const codeOf = (text: string) => {
      const signer = signerOfDigest(digest, text);
      return signer.ok ? 'ok' : signer.refusal.code;
    };
    assert.equal(codeOf(toHex(signature)), 'ok');
    assert.equal(codeOf(`${head}${twinS}${v}`), 'SIGNATURE_S');
    assert.equal(codeOf(toHex(signature).slice(0, -2)), 'SIGNATURE_TEXT');
    assert.equal(codeOf(`${toHex(signature).slice(0, -2)}1d`), 'SIGNATURE_V');
    assert.equal(codeOf(`0x${'00'.repeat(64)}1b`), 'SIGNATURE_RECOVERY');
    const bare = `${toHex(signature).slice(0, -2)}0${(signature[64] ?? 0) - 27}`;
    assert.equal(codeOf(bare), 'ok', 'a hardware wallet writes the parity alone');
  });
});

type Vector = {
  name: string;
  domain: Record<string, unknown>;
  primaryType: string;
  types: Record<string, unknown>;
  data: unknown;
  digest: string;
};

type Document = Record<string, unknown> & {
  types: Record<string, { name: string; type: string }[]>;
  domain: Record<string, unknown>;
  message: Record<string, unknown>;
};

function mail(): Document {
  const person = { name: 'Cow', wallets: ['0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826'] };
  return {
    types: {
      EIP712Domain: [
        { name: 'name', type: 'string' },
        { name: 'version', type: 'string' },
        { name: 'chainId', type: 'uint256' },
        { name: 'verifyingContract', type: 'address' },
      ],
      Person: [
        { name: 'name', type: 'string' },
        { name: 'wallets', type: 'address[]' },
      ],
      Mail: [
        { name: 'from', type: 'Person' },
        { name: 'to', type: 'Person[2]' },
        { name: 'amount', type: 'uint8' },
        { name: 'tag', type: 'bytes4' },
        { name: 'paid', type: 'bool' },
      ],
    },
    primaryType: 'Mail',
    domain: {
      name: 'Ether Mail',
      version: '1',
      chainId: 6727,
      verifyingContract: '0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC',
    },
    message: { from: person, to: [person, person], amount: 255, tag: '0x01020304', paid: true },
  };
}

describe('typed data (EIP-712)', () => {
  testWithVectors('has the digests of the vectors of ethers', 'ethers', () => {
    const vectors = readVectors<Vector[]>('ethers/typed-data.json.gz');
    for (const { name, domain, primaryType, types, data, digest } of vectors) {
      const text = JSON.stringify({ domain, primaryType, types, message: data });
      const parsed = parseTypedData(text);
      assert.ok(parsed.ok, `${name}: ${JSON.stringify(parsed)}`);
      assert.equal(toHex(parsed.value.digest), digest, name);
    }
    assert.equal(vectors.length, 130);
  });

  it('signed here is the same in ethers and viem, which both verify it', async () => {
    const document = mail();
    const parsed = parseTypedData(JSON.stringify(document));
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const signature = toHex(signDigest(parsed.value.digest, secret));
    const { EIP712Domain: _, ...types } = document.types;
    assert.equal(signature, await ethers.signTypedData(document.domain, types, document.message));
    const viemDocument = { ...document, primaryType: 'Mail' } as const;
    assert.equal(signature, await viem.signTypedData(viemDocument));
    assert.ok(await verifyTypedData({ ...viemDocument, address, signature }));
    const person = 'Person(string name,address[] wallets)';
    const top = 'Mail(Person from,Person[2] to,uint8 amount,bytes4 tag,bool paid)';
    assert.equal(parsed.value.encodedType, top + person);
  });

  const refused: { when: string; edit(document: Document): void; code: string; text: RegExp }[] = [
    {
      when: 'an unknown type',
      edit: ({ types }) => types.Mail?.push({ name: 'cc', type: 'Persons' }),
      code: 'TYPED_DATA_TYPE',
      text: /Mail\.cc: unknown type Persons/,
    },
    {
      when: 'uint, which is no type of the standard',
      edit: ({ types }) => types.Mail?.push({ name: 'cc', type: 'uint' }),
      code: 'TYPED_DATA_TYPE',
      text: /unknown type uint/,
    },
    {
      when: 'uint7',
      edit: ({ types }) => types.Mail?.push({ name: 'cc', type: 'uint7' }),
      code: 'TYPED_DATA_TYPE',
      text: /unknown type uint7/,
    },
    {
      when: 'bytes33',
      edit: ({ types }) => types.Mail?.push({ name: 'cc', type: 'bytes33' }),
      code: 'TYPED_DATA_TYPE',
      text: /unknown type bytes33/,
    },
    {
      when: 'a type that contains itself',
      edit: ({ types }) => types.Person?.push({ name: 'friends', type: 'Mail[]' }),
      code: 'TYPED_DATA_TYPE',
      text: /contains itself: Person -> Mail -> Person|Mail -> Person -> Mail/,
    },
    {
      when: 'a field that stands twice in its type',
      edit: ({ types }) => types.Person?.push({ name: 'name', type: 'bool' }),
      code: 'TYPED_DATA_TYPE',
      text: /Person\.name: stands twice/,
    },
    {
      when: 'a type with the name of a basic one',
      edit: ({ types }) => Object.assign(types, { uint8: [] }),
      code: 'TYPED_DATA_TYPE',
      text: /not a name of a type/,
    },
    {
      when: 'a domain that differs from its declaration',
      edit: ({ domain }) => Object.assign(domain, { salt: `0x${'00'.repeat(32)}` }),
      code: 'TYPED_DATA_TYPE',
      text: /EIP712Domain/,
    },
    {
      when: 'a domain with a field of its own',
      edit: ({ domain, types }) => {
        delete types.EIP712Domain;
        Object.assign(domain, { owner: 'me' });
      },
      code: 'TYPED_DATA_VALUE',
      text: /domain\.owner: is not a field/,
    },
    {
      when: 'a primary type that is not there',
      edit: (document) => Object.assign(document, { primaryType: 'Letter' }),
      code: 'TYPED_DATA_TYPE',
      text: /primaryType/,
    },
    {
      when: 'a chain of types that no stack holds',
      edit: ({ types }) => {
        for (let i = 0; i < 5_000; i++) types[`T${i}`] = [{ name: 'a', type: `T${i + 1}` }];
      },
      code: 'TYPED_DATA_TYPE',
      text: /more than 256 types/,
    },
    {
      when: 'a missing field',
      edit: ({ message }) => delete message.amount,
      code: 'TYPED_DATA_VALUE',
      text: /message\.amount: is missing/,
    },
    {
      when: 'a field too many',
      edit: ({ message }) => Object.assign(message, { bcc: '' }),
      code: 'TYPED_DATA_VALUE',
      text: /message\.bcc: is not a field/,
    },
    {
      when: 'a number out of range',
      edit: ({ message }) => Object.assign(message, { amount: 256 }),
      code: 'TYPED_DATA_VALUE',
      text: /does not fit into uint8/,
    },
    {
      when: 'a number that is in range without its sign only',
      edit: ({ types }) => types.Mail?.splice(2, 1, { name: 'amount', type: 'int8' }),
      code: 'TYPED_DATA_VALUE',
      text: /does not fit into int8/,
    },
    {
      when: 'a negative number where none may be',
      edit: ({ message }) => Object.assign(message, { amount: '-1' }),
      code: 'TYPED_DATA_VALUE',
      text: /does not fit into uint8/,
    },
    {
      when: 'half a number',
      edit: ({ message }) => Object.assign(message, { amount: 1.5 }),
      code: 'TYPED_DATA_VALUE',
      text: /a whole number is needed/,
    },
    {
      when: 'a text for a boolean',
      edit: ({ message }) => Object.assign(message, { paid: 'true' }),
      code: 'TYPED_DATA_VALUE',
      text: /true or false/,
    },
    {
      when: 'three bytes for four',
      edit: ({ message }) => Object.assign(message, { tag: '0x010203' }),
      code: 'TYPED_DATA_VALUE',
      text: /4 bytes are needed, not 3/,
    },
    {
      when: 'a list of another length',
      edit: ({ message }) => Object.assign(message, { to: [] }),
      code: 'TYPED_DATA_VALUE',
      text: /2 items are needed, not 0/,
    },
    {
      when: 'an address with a wrong checksum',
      edit: ({ domain }) =>
        Object.assign(domain, {
          verifyingContract: '0xcCCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC',
        }),
      code: 'TYPED_DATA_VALUE',
      text: /ADDRESS_CHECKSUM/,
    },
    {
      when: 'half a character',
      edit: ({ domain }) => Object.assign(domain, { name: '\ud83d' }),
      code: 'TYPED_DATA_VALUE',
      text: /surrogate/,
    },
  ];
  for (const { when, edit, code, text } of refused) {
    it(`refuses ${when}`, () => {
      const document = mail();
      edit(document);
      const parsed = parseTypedData(JSON.stringify(document));
      assert.ok(!parsed.ok);
      assert.equal(parsed.refusal.code, code);
      assert.match(describeTypedDataRefusal(parsed.refusal), text);
    });
  }

  it('refuses a key that stands twice, and a number that loses digits elsewhere', () => {
    const twice = JSON.stringify(mail()).replace('"amount":255', '"amount":255,"amount":1');
    const long = JSON.stringify(mail())
      .replaceAll('uint8', 'uint256')
      .replace('"amount":255', '"amount":9007199254740993');
    for (const [text, why] of [
      [twice, /stands twice/],
      [long, /put it in quotes/],
      [`${' '.repeat(300_000)}{}`, /TYPED_DATA_SIZE/],
      ['{', /TYPED_DATA_JSON/],
    ] as const) {
      const parsed = parseTypedData(text);
      assert.ok(!parsed.ok);
      assert.match(JSON.stringify(parsed.refusal), why);
    }
  });
});
