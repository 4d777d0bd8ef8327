import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { utf8 } from '#src/lib/bytes.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { DamageError } from '#storage/shelf.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-log-'));
let count = 0;
const fresh = () => join(root, `log${count++}`);
after(() => rmSync(root, { recursive: true, force: true }));

async function filled(dir: string, texts: readonly string[]): Promise<string> {
  const { log } = AppendLog.open(dir);
  for (const text of texts) log.append(utf8(text));
  await log.close();
  const name = readdirSync(dir).at(-1);
  assert.ok(name !== undefined);
  return join(dir, name);
}

const textsOf = (dir: string) => {
  const { log, records } = AppendLog.open(dir);
  void log.close();
  return records.map(({ payload }) => new TextDecoder().decode(payload));
};

describe('append log', () => {
  it('gives back what was appended, in order, with rising numbers', async () => {
    const dir = fresh();
    await filled(dir, ['one', 'two']);
    await filled(dir, ['three']);
    assert.deepEqual(textsOf(dir), ['one', 'two', 'three']);
    const { log } = AppendLog.open(dir);
    assert.equal(log.append(utf8('four')), 4);
    await log.close();
  });

  it('forgets a torn tail, of any length, and goes on after it', async () => {
    const dir = fresh();
    const path = await filled(dir, ['one', 'two']);
    const whole = readFileSync(path);
    for (let cut = whole.length - 1; cut > 27; cut--) {
      writeFileSync(path, whole.subarray(0, cut));
      assert.deepEqual(textsOf(dir), ['one'], `cut at ${cut}`);
    }
    appendFileSync(path, Buffer.alloc(40, 0xff));
    assert.deepEqual(textsOf(dir), ['one']);
    await filled(dir, ['again']);
    assert.deepEqual(textsOf(dir), ['one', 'again']);
  });

  it('refuses a bad frame that is not at the end', async () => {
    const dir = fresh();
    const { log } = AppendLog.open(dir);
    const large = new Uint8Array(9 * 1024 * 1024);
    for (let i = 0; i < 4; i++) {
      log.append(large);
      await log.sync();
    }
    await log.close();
    const names = readdirSync(dir).sort();
    assert.ok(names.length >= 2, 'a full segment is followed by another');
    const first = join(dir, names[0] ?? '');
    const bytes = readFileSync(first);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(first, bytes);
    assert.throws(() => AppendLog.open(dir), DamageError);
  });

  it('deletes only segments that lie wholly below the mark', async () => {
    const dir = fresh();
    const { log } = AppendLog.open(dir);
    const large = new Uint8Array(9 * 1024 * 1024);
    for (let i = 0; i < 6; i++) {
      log.append(large);
      await log.sync();
    }
    log.prune(3);
    await log.close();
    const { log: again, records } = AppendLog.open(dir);
    assert.deepEqual(
      records.map(({ seq }) => seq),
      [3, 4, 5, 6],
    );
    await again.close();
  });

  it('refuses a record that a later one knew to be on disk', async () => {
    const dir = fresh();
    const { log } = AppendLog.open(dir);
    for (let i = 0; i < 10; i++) {
      log.append(utf8(`record ${i}`));
      await log.sync();
    }
    await log.close();
    const path = join(dir, readdirSync(dir)[0] ?? '');
    const whole = readFileSync(path);
    for (let record = 0; record < 9; record++) {
      const bytes = Buffer.from(whole);
      const at = record * (24 + 8) + 25;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(path, bytes);
      assert.throws(() => AppendLog.open(dir), DamageError, `record ${record}`);
    }
  });

  it('refuses a missing segment in the middle, and leaves the others as they are', async () => {
    const dir = fresh();
    const { log } = AppendLog.open(dir);
    for (let i = 0; i < 6; i++) {
      log.append(new Uint8Array(9 * 1024 * 1024));
      await log.sync();
    }
    await log.close();
    const names = readdirSync(dir).sort();
    assert.ok(names.length >= 3);
    rmSync(join(dir, names[1] ?? ''));
    const last = join(dir, names.at(-1) ?? '');
    const size = readFileSync(last).length;
    assert.throws(() => AppendLog.open(dir), DamageError);
    assert.equal(readFileSync(last).length, size);
  });

  it('keeps nobody waiting for what comes behind, however much that is', async () => {
    let writes = 0;
    const counting = {
      write: <T>(attempt: () => Promise<T>) => {
        writes++;
        return attempt();
      },
    };
    const { log } = AppendLog.open(fresh(), counting);
    const worst: number[] = [];
    const client = async (at: number) => {
      // So that some come while every write is under way.
      for (let wait = 0; wait < at; wait++) await new Promise((resolve) => setImmediate(resolve));
      for (let i = 0; i < 30; i++) {
        const before = writes;
        log.append(utf8(`${at}.${i}`));
        await log.sync();
        worst.push(writes - before);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, at) => client(at)));
    await log.close();
    // The one that takes it, and the next one, which somebody else may begin at that moment.
    assert.ok(Math.max(...worst) <= 2, `one waited for ${Math.max(...worst)} writes`);
  });

  it('takes nothing more after a failed write', async () => {
    const dir = fresh();
    const { log } = AppendLog.open(dir);
    log.append(utf8('one'));
    await log.close();
    log.append(utf8('two'));
    await assert.rejects(log.sync());
    assert.throws(() => log.append(utf8('three')));
    await assert.rejects(log.sync());
    assert.deepEqual(textsOf(dir), ['one']);
  });
});
