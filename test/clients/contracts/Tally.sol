// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// What a client has to cope with: a payment with an event, a view, and every kind of failure.
contract Tally {
    event Paid(address indexed from, uint256 amount, string memo);
    error Nope(uint256 code, address who);

    uint256 public total;

    function pay(string calldata memo) external payable {
        total += msg.value;
        emit Paid(msg.sender, msg.value, memo);
    }

    function refuse() external pure {
        revert("not today");
    }

    function refuseByName(uint256 code) external view {
        revert Nope(code, msg.sender);
    }

    function divide(uint256 by) external pure returns (uint256) {
        return 10 / by;
    }
}
