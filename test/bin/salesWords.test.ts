import assert from 'node:assert/strict';
import { it } from 'node:test';
import { memberIdOf } from '#src/types/memberId.ts';
import { textOf, wordOf } from '../../bin/commands/sales/words.ts';

it('what a stranger is called is no part of a command that a shell would run', () => {
  for (const text of ['shop', 'shop-7', 'a_b.c']) {
    assert.deepEqual([textOf(memberIdOf(text)), wordOf(memberIdOf(text))], [text, text]);
  }
  for (const text of ['$(date)', 'a;b', 'a b', '`a`', '--yes', '-x', 'a|b', "a'b"]) {
    const id = memberIdOf(text);
    assert.deepEqual([textOf(id), wordOf(id)], [text, id]);
  }
});
