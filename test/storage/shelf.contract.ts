import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { utf8 } from '#src/lib/bytes.ts';
import type { Shelf } from '#storage/shelf.ts';

/** What every implementation of {@link Shelf} promises. */
export function shelfContract(name: string, open: () => Promise<Shelf>): void {
  describe(`shelf: ${name}`, () => {
    it('gives back what was written, and null for what was not', async () => {
      const shelf = await open();
      await shelf.write([{ table: 'meta', key: utf8('a'), value: utf8('1') }]);
      assert.deepEqual(shelf.get('meta', utf8('a')), utf8('1'));
      assert.equal(shelf.get('meta', utf8('b')), null);
      assert.equal(shelf.get('blocks', utf8('a')), null, 'tables do not see each other');
      await shelf.close();
    });

    it('applies a batch in order, deletions included', async () => {
      const shelf = await open();
      const key = utf8('k');
      await shelf.write([
        { table: 'meta', key, value: utf8('1') },
        { table: 'meta', key, value: null },
        { table: 'meta', key, value: utf8('2') },
        { table: 'meta', key: utf8('gone'), value: utf8('x') },
        { table: 'meta', key: utf8('gone'), value: null },
      ]);
      assert.deepEqual(shelf.get('meta', key), utf8('2'));
      assert.equal(shelf.get('meta', utf8('gone')), null);
      await shelf.close();
    });

    it('keeps empty values apart from absent ones', async () => {
      const shelf = await open();
      await shelf.write([{ table: 'code', key: utf8('e'), value: new Uint8Array(0) }]);
      assert.equal(shelf.get('code', utf8('e'))?.length, 0);
      await shelf.close();
    });

    it('shows in a view what was stored when it was opened', async () => {
      const shelf = await open();
      const [kept, gone, later] = [utf8('kept'), utf8('gone'), utf8('later')];
      await shelf.write([
        { table: 'meta', key: kept, value: utf8('1') },
        { table: 'meta', key: gone, value: utf8('2') },
      ]);
      const view = shelf.view();
      await shelf.write([
        { table: 'meta', key: kept, value: utf8('9') },
        { table: 'meta', key: gone, value: null },
        { table: 'meta', key: later, value: utf8('3') },
      ]);
      assert.deepEqual(view.get('meta', kept), utf8('1'));
      assert.deepEqual(view.get('meta', gone), utf8('2'));
      assert.equal(view.get('meta', later), null);
      assert.deepEqual(shelf.get('meta', kept), utf8('9'));
      view.close();
      await shelf.close();
    });

    it('walks a range in order of keys, both ways, within one table', async () => {
      const shelf = await open();
      const keys = [[3], [1, 0], [1], [2, 255], [255, 255]].map((key) => Uint8Array.from(key));
      await shelf.write([
        ...keys.map((key) => ({ table: 'history' as const, key, value: key })),
        { table: 'accounts', key: Uint8Array.of(0), value: utf8('other table') },
      ]);
      const all = await shelf.range('history', { limit: 10 });
      assert.deepEqual(
        all.map(({ key }) => [...key]),
        [[1], [1, 0], [2, 255], [3], [255, 255]],
      );
      const back = await shelf.range('history', {
        from: Uint8Array.of(1, 0),
        to: Uint8Array.of(3),
        reverse: true,
        limit: 10,
      });
      assert.deepEqual(
        back.map(({ key }) => [...key]),
        [
          [2, 255],
          [1, 0],
        ],
      );
      assert.equal((await shelf.range('history', { limit: 2 })).length, 2);
      await shelf.close();
    });
  });
}
