import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ed25519PublicKey } from '#src/crypto/ed25519.ts';
import { fail } from '#src/ledger/payments/validatorAbi.ts';
import { toHex } from '#src/lib/bytes.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { peerIdOfKey } from '#src/types/peerId.ts';
import { decodeCall, encodeCall, registry } from '../../bin/commands/membership/contract.ts';
import { keyOfPeerId } from '../../bin/commands/membership/memberNode.ts';
import {
  describeRevert,
  memberName,
  parseRoles,
  rolesText,
} from '../../bin/commands/membership/words.ts';
import {
  createNextKey,
  createNodeKeys,
  keysDir,
  openNextKey,
  openNodeKeys,
  promoteNextKey,
  publicKeysOf,
} from '../../bin/nodeKeys.ts';
import { localSigners } from '../../bin/signers.ts';
import { run } from '../cluster/devnet.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-membership-'));
after(() => rmSync(root, { recursive: true, force: true }));

describe("a node's keys in a rotation", () => {
  const publicOf = (seed: Uint8Array) => toHex(ed25519PublicKey(seed));

  it('are one, then two, then the new one first and the old one kept', async () => {
    const dir = join(root, 'rotated');
    const { consensusKey } = await createNodeKeys(dir, null);
    assert.equal(await openNextKey(dir, null), null);
    const next = await createNextKey(dir, null);
    await assert.rejects(createNextKey(dir, null), /EEXIST/, 'the second is not overwritten');
    const both = await openNodeKeys(dir, null);
    assert.deepEqual(both.consensusSeeds.map(publicOf), [consensusKey, publicOf(next)]);
    assert.equal((await publicKeysOf(both)).consensusKey, consensusKey);
    const signers = localSigners(both).map(({ publicKey }) => toHex(publicKey));
    assert.deepEqual(signers, [consensusKey, publicOf(next)]);
    promoteNextKey(dir, both.consensusSeeds[0] ?? next);
    const after = await openNodeKeys(dir, null);
    assert.deepEqual(after.consensusSeeds.map(publicOf), [publicOf(next), consensusKey]);
    const old = `consensus-old-${consensusKey.slice(2, 10)}.json`;
    assert.ok(readdirSync(keysDir(dir)).includes(old));
  });

  it('are found, and the names put right, after a crash between two names', async () => {
    const dir = join(root, 'crashed');
    await createNodeKeys(dir, null);
    const next = await createNextKey(dir, null);
    const keys = keysDir(dir);
    renameSync(join(keys, 'consensus.json'), join(keys, 'consensus-old-00000000.json'));
    const { consensusSeeds } = await openNodeKeys(dir, null);
    assert.equal(consensusSeeds.length, 2);
    promoteNextKey(dir, next);
    assert.equal(
      publicOf((await openNodeKeys(dir, null)).consensusSeeds[0] ?? next),
      publicOf(next),
    );
  });
});

describe('words for numbers', () => {
  it('name roles and read them back', () => {
    assert.equal(parseRoles('validator, auditor'), 257n);
    assert.equal(rolesText(257n), 'validator,auditor');
    assert.equal(parseRoles('banker'), null);
  });

  it('tell a revert by its meaning', () => {
    const share = toHex(fail('ShareTooLarge', 4n, 60n, 100n).data);
    assert.match(describeRevert(share) ?? '', /60 of 100 votes, a third or more/);
    const status = toHex(fail('WrongStatus', 1n, 5n).data);
    assert.match(describeRevert(status) ?? '', /validator 1 is leaving/);
    assert.equal(describeRevert('0x12345678'), null);
    assert.equal(describeRevert(share.slice(0, 40)), null, 'a torn error is none');
    assert.equal(memberName(memberIdOf('bank-5')), 'bank-5');
  });

  it('decode the calls that they encode', () => {
    const data = toHex(encodeCall(registry, 'activateValidator', 7n));
    const call = decodeCall(registry.address, data);
    assert.deepEqual(call?.values, [7n]);
    assert.equal(call?.name, 'activateValidator');
    assert.equal(decodeCall(registry.address, data.slice(0, 20)), null);
  });

  it('find the key in a peer id', () => {
    const key = new Uint8Array(32).fill(7);
    assert.deepEqual(keyOfPeerId(peerIdOfKey(key)), key);
    for (const text of ['', '12D3KooW', peerIdOfKey(key).replace(/.$/, '0')]) {
      assert.throws(() => keyOfPeerId(text), /not a peer id/);
    }
  });
});

describe('mistakes', () => {
  const rows: { when: string; args: string[]; text: RegExp; code: number }[] = [
    { when: 'no node', args: ['vote', '--rpc', 'http://127.0.0.1:1'], text: /no node/, code: 69 },
    { when: 'a vote without a number', args: ['vote', 'yes'], text: /missing.*id/, code: 64 },
    { when: 'a vote on a name', args: ['vote', 'no', 'x'], text: /whole number/, code: 64 },
    {
      when: 'unknown roles',
      args: ['member', 'add', '--id', 'a', '--admin', `0x${'11'.repeat(20)}`, '--roles', 'king'],
      text: /--roles/,
      code: 64,
    },
    {
      when: 'joining without a data directory',
      args: ['validator', 'join', '--data-dir', join(root, 'none')],
      text: /not a data directory/,
      code: 65,
    },
    { when: 'an amount of words', args: ['validator', 'bond', 'ten'], text: /amount/, code: 64 },
    {
      when: 'help with an example',
      args: ['validator', 'join', '--help'],
      text: /\$ mpbp/,
      code: 0,
    },
  ];
  for (const { when, args, text, code } of rows) {
    it(when, async () => {
      const result = await run(args);
      assert.match(result.stdout + result.stderr, text);
      assert.equal(result.code, code, result.stderr);
    });
  }
});
