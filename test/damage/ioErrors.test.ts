/** A disk that fails ends the node with what failed; what was final before is there afterwards. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { buildShim } from '../chaos/powerCut.ts';
import { LoneValidator } from '../chaos/powerCuts.ts';
import { run } from '../cluster/devnet.ts';

const [EIO, EACCES, EROFS] = [5, 13, 30] as const;
const shim = buildShim();

const running = [
  {
    when: 'the journal is not synced',
    fault: `sync ${EIO} /consensus/`,
    names: /consensus\/.*EIO/,
  },
  {
    when: 'the journal is not written',
    fault: `write ${EIO} /consensus/`,
    names: /consensus\/.*EIO/,
  },
  { when: 'a payment is not written', fault: `write ${EIO} /pool/`, names: /pool\/.*EIO/ },
  { when: 'a payment is not synced', fault: `sync ${EIO} /pool/`, names: /pool\/.*EIO/ },
  { when: 'a block is not written', fault: `write ${EIO} /chain/`, names: /chain\/.*error/i },
  { when: 'a block is not synced', fault: `sync ${EIO} /chain/`, names: /chain\/.*error/i },
  { when: 'the mark is not written', fault: `write ${EIO} chain.mark`, names: /chain\.mark.*EIO/ },
  { when: 'it turns read-only', fault: `write ${EROFS} /consensus/`, names: /read-only.*EROFS/ },
] as const;
const starting = [
  {
    when: 'the chain is not read',
    fault: `read ${EIO} /chain/`,
    names: /chain.*EIO/,
    code: EXIT.io,
  },
  {
    when: 'the journal is not read',
    fault: `read ${EIO} /consensus/`,
    names: /consensus.*EIO/,
    code: EXIT.io,
  },
  {
    when: 'the chain may not be read',
    fault: `read ${EACCES} /chain/`,
    names: /chain.*EACCES/,
    code: EXIT.permission,
  },
  {
    when: 'it is read-only',
    fault: `sync ${EROFS} /consensus/`,
    names: /consensus.*EROFS/,
    code: EXIT.io,
  },
] as const;

describe('a disk that fails', { concurrency: 1, timeout: 240_000 }, () => {
  let validator: LoneValidator | null = null;
  before(async () => {
    if (shim !== null) validator = await LoneValidator.open(shim, 'on', 1);
  });
  after(() => validator?.destroy());

  for (const { when, fault, names } of running) {
    it(`ends the node with ${EXIT.io} when ${when}`, async (t) => {
      if (validator === null) return t.skip('no C compiler');
      const death = await validator.breakDisk('running', fault);
      assert.match(death, new RegExp(`^validator 0: ${EXIT.io};`));
      assert.match(death.split(' | ').at(-1) ?? '', names);
    });
  }

  for (const { when, fault, names, code } of starting) {
    it(`ends the start with ${code} when ${when}`, async (t) => {
      if (validator === null) return t.skip('no C compiler');
      const death = await validator.breakDisk('starting', fault);
      assert.match(death, new RegExp(`^validator 0: ${code};`));
      assert.match(death.split(' | ').at(-1) ?? '', names);
    });
  }

  it('has lost nothing in the end', async (t) => {
    if (validator === null) return t.skip('no C compiler');
    await validator.finish();
    assert.deepEqual(validator.report.broken, []);
    const { code, stdout, stderr } = await run(['db', 'check', validator.dir]);
    assert.equal(code, EXIT.ok, stdout + stderr);
  });
});
