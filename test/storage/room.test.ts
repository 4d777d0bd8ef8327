import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { nextTurn } from '#src/lib/clock.ts';
import { MomentaryError } from '#src/lib/failure.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { Room } from '#storage/room.ts';
import { SmallDisk } from '../damage/smallDisk.ts';

const diskMebibytes = 12;
const mebibyte = 1024 ** 2;

/** Does not shrink in LevelDB's tables. */
const incompressible = (bytes: number) => new Uint8Array(randomBytes(bytes));

it('who hears of room finds the write settled that ended the lack of it', async () => {
  const heard: string[] = [];
  const options = { paths: [tmpdir()], reserveBytes: 0, onFull: () => heard.push('full') };
  const room = new Room({ ...options, onRoom: () => heard.push('room') });
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  let attempts = 0;
  const attempt = () => (attempts++ === 0 ? Promise.reject(full) : Promise.resolve());
  const settle = async (write: Promise<void>) => {
    await write;
    heard.push('settled');
  };
  // Behind as many promises as a commit has.
  const through = async (write: Promise<void>) => await (async () => await write)();
  await settle(through(room.write(attempt)));
  await nextTurn();
  assert.deepEqual(heard, ['full', 'settled', 'room']);
});

describe('a small disk', { concurrency: 1, timeout: 60_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), 'mpbp-room-'));
  const path = join(root, 'disk');
  let disk: SmallDisk | null = null;
  let said: string[] = [];
  const roomOf = (reserveBytes: number) => {
    said = [];
    const onFull = () => said.push('full');
    return new Room({ paths: [path], reserveBytes, onFull, onRoom: () => said.push('room') });
  };
  const isOpen = async (promise: Promise<unknown>) => {
    const late = new Promise((resolve) => setTimeout(() => resolve('late'), 300));
    return (await Promise.race([promise, late])) === 'late';
  };

  before(() => {
    disk = SmallDisk.mount(path, diskMebibytes);
  });
  after(() => {
    disk?.unmount();
    rmSync(root, { recursive: true });
  });

  it('a write waits while less than the reserve is free', async (t) => {
    if (disk === null) return t.skip('file systems cannot be mounted here');
    const room = roomOf(2 * mebibyte);
    let writes = 0;
    const write = () => room.write(async () => ++writes);
    assert.equal(await write(), 1);
    disk.fill(2 * mebibyte - 1);
    const waiting = [write(), write()];
    assert.equal(await room.isDoneBeforeFull(new Promise(() => {})), false);
    assert.ok(await isOpen(Promise.race(waiting)));
    assert.match(room.look() ?? '', /1 MiB are free, 2 MiB are kept in reserve/);
    disk.clear();
    assert.deepEqual((await Promise.all(waiting)).sort(), [2, 3]);
    await nextTurn();
    assert.deepEqual([room.look(), room.isFull, ...said], [null, false, 'full', 'room']);
  });

  it('is noticed by a look, and so is its end, where nobody writes', async (t) => {
    if (disk === null) return t.skip('file systems cannot be mounted here');
    const room = roomOf(mebibyte);
    assert.equal(room.look(), null);
    disk.fill(0);
    assert.notEqual(room.look(), null);
    disk.clear();
    const poll = setInterval(() => {}, 50);
    while (room.isFull) await new Promise((resolve) => setTimeout(resolve, 50));
    clearInterval(poll);
    await nextTurn();
    assert.deepEqual(said, ['full', 'room']);
  });

  it('other failures are thrown, and are not tried again', async (t) => {
    if (disk === null) return t.skip('file systems cannot be mounted here');
    const room = roomOf(0);
    const broken = Object.assign(new Error('broken'), { code: 'EIO' });
    await assert.rejects(
      room.write(() => Promise.reject(broken)),
      broken,
    );
    assert.equal(room.isFull, false);
  });

  it('a log that met its end cuts off what is half written, and goes on', async (t) => {
    if (disk === null) return t.skip('file systems cannot be mounted here');
    const dir = join(path, 'log');
    const { log } = AppendLog.open(dir, roomOf(0));
    log.append(utf8('one'));
    await log.sync();
    disk.fill(100_000);
    log.append(incompressible(mebibyte));
    const sync = log.sync();
    assert.ok(await isOpen(sync));
    const file = join(dir, readdirSync(dir)[0] ?? '');
    assert.equal(statSync(file).size, 27, 'nothing is half written');
    log.append(utf8('three'));
    disk.clear();
    await sync;
    await log.close();
    assert.deepEqual(
      AppendLog.read(dir).records.map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.deepEqual(said, ['full', 'room']);
    rmSync(dir, { recursive: true });
  });

  it('a database that met its end reads on, is opened anew, and loses nothing', async (t) => {
    if (disk === null) return t.skip('file systems cannot be mounted here');
    const chain = join(path, 'chain');
    await (await LevelShelf.create(chain)).close();
    const shelf = await LevelShelf.open(chain, { room: roomOf(0) });
    const key = (number: number) => uintToBytes(BigInt(number), 8);
    const put = (number: number) =>
      shelf.write([{ table: 'blocks', key: key(number), value: incompressible(50_000) }]);
    let written = 0;
    let momentary = 0;
    for (let round = 0; round < 3; round++) {
      const first = written;
      const early = shelf.view();
      disk.fill(500_000);
      let write = put(written);
      while (!(await isOpen(write))) write = put(++written);
      assert.ok(written > first, 'some were written');
      const view = shelf.view();
      const lookAtAll = () => {
        for (let number = 0; number < written; number++) {
          assert.equal(shelf.get('blocks', key(number))?.length, 50_000);
          assert.equal(view.get('blocks', key(number))?.length, 50_000);
        }
        assert.equal(view.get('blocks', key(written)), null);
      };
      lookAtAll();
      disk.clear();
      const watch = setInterval(() => {
        try {
          lookAtAll();
        } catch (error) {
          if (!(error instanceof MomentaryError)) throw error;
          momentary++;
        }
      }, 1);
      await write;
      clearInterval(watch);
      lookAtAll();
      assert.throws(() => early.get('blocks', key(0)), MomentaryError);
      written++;
      view.close();
      early.close();
    }
    t.diagnostic(`${momentary} reads met the database while it was opened`);
    await shelf.close();
    const again = await LevelShelf.open(chain);
    for (let number = 0; number < written; number++) {
      assert.equal(again.get('blocks', key(number))?.length, 50_000, `block ${number}`);
    }
    await again.close();
    assert.deepEqual(said, ['full', 'room', 'full', 'room', 'full', 'room']);
  });
});
