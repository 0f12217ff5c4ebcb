//! Drives a free-running pipeline: inputs with `valid_i`, results with `valid_o`, no back-pressure.

use std::collections::VecDeque;

use crate::Dut;

/// A result and how many cycles after its operands it appeared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Value of the result port.
    pub value: Vec<u8>,
    /// From the cycle in which the operands were presented to the cycle in which the result is.
    pub latency: u64,
}

/// Presents one item a cycle (`None` is a cycle without work), each the values of the `inputs` ports
/// in order, and returns the results on port `output` in order. Panics if a result is missing or
/// nobody asked for it.
pub fn run<I>(dut: &mut Dut, inputs: &[&str], output: &str, items: I) -> Vec<Output>
where
    I: IntoIterator<Item = Option<Vec<Vec<u8>>>>,
{
    /// No pipeline of the card is this deep.
    const PATIENCE: u64 = 2000;

    let mut items = items.into_iter();
    let mut under_way = VecDeque::new();
    let mut results = Vec::new();
    let mut idle = 0;
    loop {
        match items.next() {
            Some(Some(values)) => {
                assert_eq!(values.len(), inputs.len(), "one value for each input port");
                for (name, value) in inputs.iter().zip(&values) {
                    dut.set(name, value);
                }
                dut.set_u64("valid_i", 1);
                under_way.push_back(dut.cycle());
                idle = 0;
            }
            Some(None) => dut.set_u64("valid_i", 0),
            None => {
                dut.set_u64("valid_i", 0);
                idle += 1;
                if under_way.is_empty() {
                    // A little longer, so that a result too many is noticed.
                    if idle > 8 {
                        return results;
                    }
                } else {
                    assert!(idle < PATIENCE, "{} results are missing", under_way.len());
                }
            }
        }
        dut.step();
        if dut.get_u64("valid_o") == 1 {
            let Some(start) = under_way.pop_front() else {
                panic!("a result that nobody asked for, in cycle {}", dut.cycle());
            };
            idle = 0;
            results.push(Output {
                value: dut.get(output),
                latency: dut.cycle() - start,
            });
        }
    }
}
