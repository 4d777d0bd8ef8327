import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAmount, parseAmount } from '#src/types/units.ts';
import {
  describeLinkRefusal,
  formatPaymentLink,
  type PaymentLink,
  parsePaymentLink,
} from '#src/wallet/paymentLink.ts';

const payee = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

function parsed(text: string): PaymentLink {
  const link = parsePaymentLink(text);
  assert.ok(link.ok, link.ok ? text : `${text}: ${link.refusal.code}`);
  return link.value;
}

describe('payment links (EIP-681)', () => {
  const amounts: [string, string][] = [
    ['12500000000000000000', '12.5'],
    ['1.25e19', '12.5'],
    ['125e17', '12.5'],
    ['125E+17', '12.5'],
    ['2.014e18', '2.014'],
    ['0', '0'],
    ['1', '0.000000000000000001'],
    ['1.0', '0.000000000000000001'],
    ['0.1e1', '0.000000000000000001'],
    ['1.000000000000000001e18', '1.000000000000000001'],
    ['123456789.123456789123456789e18', '123456789.123456789123456789'],
  ];
  for (const [text, want] of amounts) {
    it(`reads ${text} as ${want}, exactly`, () => {
      const { value } = parsed(`ethereum:${payee}@6727?value=${text}`);
      assert.equal(value === null ? '' : formatAmount(value), want);
    });
  }

  it('reads what it writes, and others read it', () => {
    for (const amount of ['12.50', '0', '1', '1000000', '0.000000000000000001', '3.000000001']) {
      for (const memo of ['', 'invoice 7', 'zwölf € & mehr = 100 %?', '😀 #1']) {
        for (const chainId of [null, 6727n]) {
          const value = parseAmount(amount);
          assert.ok(value.ok);
          const to = parsed(`ethereum:${payee}`).to;
          const link = { to, chainId, value: value.value, memo };
          const text = formatPaymentLink(link);
          assert.deepEqual(parsed(text), link, text);
          const url = new URL(text);
          assert.equal(url.searchParams.get('message') ?? '', memo);
          assert.equal(url.pathname, chainId === null ? payee : `${payee}@6727`);
        }
      }
    }
  });

  it('takes a link that leaves things open, and one that suggests gas', () => {
    const open = { chainId: null, value: null, memo: '' };
    const to = payee.toLowerCase();
    assert.deepEqual(parsed(`ethereum:${payee}`), { to, ...open });
    assert.deepEqual(parsed(`ETHEREUM:pay-${payee}?gasLimit=21000&gasPrice=1e9&gas=21000`), {
      to,
      ...open,
    });
    assert.equal(parsed(`ethereum:${payee}?message=1+1`).memo, '1+1');
  });

  const refused: [string, string, string][] = [
    ['a web address', `https://${payee}`, 'LINK_TEXT'],
    ['something behind a #', `ethereum:${payee}#x`, 'LINK_TEXT'],
    ['a space', `ethereum:${payee}?message=a b`, 'LINK_TEXT'],
    ['more than any link', `ethereum:${payee}?message=${'a'.repeat(3_000)}`, 'LINK_TEXT'],
    ['a name', 'ethereum:shop.eth@6727?value=1e18', 'LINK_NAME'],
    ['a short address', 'ethereum:0x7099@6727', 'LINK_ADDRESS'],
    ['a mistyped address', `ethereum:${payee.replace('c3A', 'c3a')}`, 'LINK_ADDRESS'],
    ['a chain that is no number', `ethereum:${payee}@main`, 'LINK_CHAIN'],
    ['a chain of none', `ethereum:${payee}@`, 'LINK_CHAIN'],
    ['chain 0', `ethereum:${payee}@0`, 'LINK_CHAIN'],
    ['a token', `ethereum:${payee}@1/transfer?address=${payee}&uint256=1`, 'LINK_FUNCTION'],
    ['an empty call', `ethereum:${payee}@1/?value=1`, 'LINK_FUNCTION'],
    ['a negative amount', `ethereum:${payee}?value=-1`, 'LINK_PARAMETER'],
    ['half a wei', `ethereum:${payee}?value=1.5`, 'LINK_PARAMETER'],
    ['a tenth of a wei', `ethereum:${payee}?value=1.01e1`, 'LINK_PARAMETER'],
    ['an exponent without digits', `ethereum:${payee}?value=1e`, 'LINK_PARAMETER'],
    ['a negative exponent', `ethereum:${payee}?value=10e-1`, 'LINK_PARAMETER'],
    ['a hexadecimal amount', `ethereum:${payee}?value=0x10`, 'LINK_PARAMETER'],
    ['2^256', `ethereum:${payee}?value=${1n << 256n}`, 'LINK_PARAMETER'],
    ['a thousand million digits', `ethereum:${payee}?value=1e999999999`, 'LINK_PARAMETER'],
    ['999 digits', `ethereum:${payee}?value=1e998`, 'LINK_PARAMETER'],
    ['two amounts', `ethereum:${payee}?value=1&value=2`, 'LINK_PARAMETER'],
    ['an empty amount', `ethereum:${payee}?value=`, 'LINK_PARAMETER'],
    ['data', `ethereum:${payee}?data=0x01`, 'LINK_PARAMETER'],
    ['a memo that is no text', `ethereum:${payee}?message=%ff`, 'LINK_PARAMETER'],
    ['a memo of two lines', `ethereum:${payee}?message=a%0ab`, 'LINK_PARAMETER'],
    ['a long memo', `ethereum:${payee}?message=${'a'.repeat(257)}`, 'LINK_PARAMETER'],
    ['gas that is no number', `ethereum:${payee}?gas=much`, 'LINK_PARAMETER'],
  ];
  for (const [when, text, code] of refused) {
    it(`refuses ${when}`, () => {
      const link = parsePaymentLink(text);
      assert.equal(link.ok ? 'read' : link.refusal.code, code);
      assert.ok(!link.ok && describeLinkRefusal(link.refusal).length > 20);
    });
  }
});
