import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AuditLog, type AuditRecord, lastAct, readAuditLog } from '#storage/auditLog.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-audit-log-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A directory with a log of this many acts. */
async function logOf(acts: number): Promise<{ dir: string; path: string; log: AuditLog }> {
  const dir = mkdtempSync(join(root, 'log-'));
  const log = new AuditLog(dir);
  for (let i = 0; i < acts; i++) await log.append('start', { number: i, text: 'ä "\n' });
  return { dir, path: join(dir, 'audit.log'), log };
}

function recordsOf(dir: string): AuditRecord[] {
  const records: AuditRecord[] = [];
  readAuditLog(dir, (record) => records.push(record));
  return records;
}

describe('audit log', () => {
  it('keeps acts in order, privately, across writers', async () => {
    const { dir, path } = await logOf(2);
    await Promise.all([1, 2, 3].map((n) => new AuditLog(dir).append('backup', { n })));
    assert.deepEqual(
      recordsOf(dir).map(({ seq, act }) => [seq, act]),
      [1, 2, 3, 4, 5].map((seq) => [seq, seq < 3 ? 'start' : 'backup']),
    );
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(readAuditLog(dir).broken, null);
    assert.deepEqual(lastAct(dir, 'start')?.detail, { number: 1, text: 'ä "\n' });
    assert.equal(lastAct(dir, 'stop'), null);
    assert.equal(existsSync(join(dir, 'audit.lock')), false);
  });

  const edits: { when: string; edit(lines: string[]): string[]; line: number }[] = [
    {
      when: 'a changed word',
      edit: ([a = '', b = '', ...rest]) => [a, b.replace('start', 'stops'), ...rest],
      line: 2,
    },
    { when: 'a line taken out', edit: ([a = '', , ...rest]) => [a, ...rest], line: 2 },
    { when: 'the first line taken out', edit: ([, ...rest]) => rest, line: 1 },
    {
      when: 'two lines that changed places',
      edit: ([a = '', b = '', c = '', ...rest]) => [a, c, b, ...rest],
      line: 2,
    },
    {
      when: 'a line that stands twice',
      edit: ([a = '', b = '', ...rest]) => [a, b, b, ...rest],
      line: 3,
    },
    { when: 'an empty line', edit: ([a = '', ...rest]) => [a, '', ...rest], line: 2 },
  ];
  for (const { when, edit, line } of edits) {
    it(`names the first broken line: ${when}`, async () => {
      const { dir, path } = await logOf(4);
      const lines = readFileSync(path, 'utf8').split('\n');
      writeFileSync(path, edit(lines).join('\n'));
      assert.equal(readAuditLog(dir).broken?.line, line);
    });
  }

  it('notices every flipped bit of a line', async () => {
    const { dir, path } = await logOf(2);
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.indexOf(0x0a); at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(path, flipped);
      assert.equal(readAuditLog(dir).broken?.line, 1, `byte ${at}`);
    }
  });

  it('allows a last line that is half written, and goes on before it', async () => {
    const { dir, path, log } = await logOf(3);
    const whole = readFileSync(path);
    const lastLine = whole.subarray(0, -1).lastIndexOf(0x0a) + 1;
    for (const cut of [lastLine + 1, lastLine + 40, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, cut));
      const { broken, records, tornBytes } = readAuditLog(dir);
      assert.deepEqual(
        { broken, records, tornBytes },
        {
          ...{ broken: null, records: 2, tornBytes: cut - lastLine },
        },
      );
    }
    writeFileSync(path, Buffer.concat([whole.subarray(0, lastLine), Buffer.alloc(100)]));
    assert.equal(readAuditLog(dir).broken, null, 'zeros are what a power cut may leave');
    await log.append('stop');
    assert.deepEqual(
      recordsOf(dir).map(({ act }) => act),
      ['start', 'start', 'stop'],
    );
    assert.equal(readAuditLog(dir).broken, null);
  });

  it('sets a log with a damaged end aside, says so, and goes on in a new one', async () => {
    const { dir, path, log } = await logOf(2);
    appendFileSync(path, 'something else\n');
    assert.equal(readAuditLog(dir).broken?.line, 3);
    await log.append('start');
    const [first, second] = recordsOf(dir);
    assert.equal(first?.act, 'audit log damaged');
    assert.ok(readdirSync(dir).includes(String(first?.detail.aside)));
    assert.equal(second?.act, 'start');
    assert.match(readAuditLog(dir).broken?.why ?? '', /set aside/);
  });

  it('does not take a log without any end of line for a torn one', async () => {
    const { dir, path, log } = await logOf(2);
    writeFileSync(path, 'x'.repeat(1_000));
    assert.equal(readAuditLog(dir).broken?.line, 1);
    await log.append('start');
    assert.equal(recordsOf(dir)[0]?.act, 'audit log damaged');
  });

  it('goes on in a new file when one is full, with one chain over all of them', async () => {
    const dir = mkdtempSync(join(root, 'log-'));
    const log = new AuditLog(dir, 1_000);
    for (let i = 0; i < 20; i++) await log.append('start', { i });
    const older = readdirSync(dir)
      .filter((name) => name.startsWith('audit-'))
      .sort();
    assert.ok(older.length >= 3, older.join(' '));
    assert.equal(readAuditLog(dir).records, 20);
    await log.append('stop');
    for (let i = 20; i < 40; i++) await log.append('start', { i });
    assert.equal(lastAct(dir, 'stop')?.seq, 21, 'found in an older file');
    assert.equal(readAuditLog(dir).records, 41);
    assert.equal(readAuditLog(dir).broken, null);
    // Cut off between the two files of a change-over.
    rmSync(join(dir, 'audit.log'));
    const { records } = readAuditLog(dir);
    const { seq } = await log.append('start');
    assert.equal(seq, records + 1);
    assert.equal(readAuditLog(dir).broken, null);
    rmSync(join(dir, older[1] ?? ''));
    assert.equal(readAuditLog(dir).broken?.line, 1);
  });

  it('is written by several processes at once without a gap', { timeout: 60_000 }, async () => {
    const { dir } = await logOf(1);
    const program = `import { AuditLog } from '#storage/auditLog.ts';
      const log = new AuditLog(${JSON.stringify(dir)});
      for (let i = 0; i < 25; i++) await log.append('backup', { i });`;
    const run = () =>
      new Promise<number | null>((resolve) => {
        const args = ['--input-type=module', '-e', program];
        const cwd = join(import.meta.dirname, '..', '..');
        spawn(process.execPath, args, { cwd, stdio: 'inherit' }).once('exit', resolve);
      });
    assert.deepEqual(await Promise.all([run(), run(), run()]), [0, 0, 0]);
    assert.equal(readAuditLog(dir).broken, null);
    assert.equal(readAuditLog(dir).records, 76);
  });

  it('takes over the lock of a process that is gone', { timeout: 20_000 }, async () => {
    const { dir, log } = await logOf(1);
    const gone = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => gone.once('exit', resolve));
    writeFileSync(join(dir, 'audit.lock'), String(gone.pid));
    await log.append('start');
    writeFileSync(join(dir, 'audit.lock'), String(process.pid));
    await log.append('start');
    // The parent of this process is alive.
    writeFileSync(join(dir, 'audit.lock'), String(process.ppid));
    await assert.rejects(log.append('start'), /another process holds it/);
    rmSync(join(dir, 'audit.lock'));
    assert.equal(readAuditLog(dir).records, 3);
  });

  const isRoot = process.getuid?.() === 0;
  it("made by root belongs to the directory's owner", { skip: !isRoot && 'not root' }, async () => {
    const dir = mkdtempSync(join(root, 'log-'));
    chownSync(dir, 12_345, 12_345);
    await new AuditLog(dir).append('access new');
    const { uid, gid } = statSync(join(dir, 'audit.log'));
    assert.deepEqual([uid, gid], [12_345, 12_345]);
  });

  it('fails where there is no room or no right to write', async () => {
    const dir = mkdtempSync(join(root, 'log-'));
    await assert.rejects(new AuditLog(join(dir, 'missing')).append('start'), /ENOENT/);
  });
});
