// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A payment that is settled through a contract: who pays sends exactly the amount that it names,
/// and the payee has it in the same transaction, or nothing has moved.
contract PaymentContract {
    address public payer;
    address payable public payee;
    uint public amount;

    function makePayment(address _payee, uint _amount) public payable {
        require(msg.value == _amount, "value differs from amount");
        payer = msg.sender;
        payee = payable(_payee);
        amount = _amount;
        (bool paid, ) = payee.call{value: _amount}("");
        require(paid, "payee takes no payment");
    }
}
