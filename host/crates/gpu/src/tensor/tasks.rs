//! Operations as kernels that are recorded.

use std::sync::Arc;

use rillbox_compute::{Operation, Task, Tensor};

use super::bounds::Bounds;
use super::kernels::Name;
use super::launch::Launch;
use super::operand::Operand;
use super::params::{Params, strides};
use super::{Elements, foreign};
use crate::error::Error;
use crate::usage::Pass;
use crate::workspace::{Grid, Workspace};

impl Workspace {
    /// Records a task of which a tensor is on this device, and gives its result, there. None if there is no kernel for it, or another
    /// of its tensors is not on the device.
    pub fn run(&mut self, task: &Task<'_>) -> Result<Option<Tensor>, Error> {
        let Some(operands) = self.operands(task)? else { return Ok(None) };
        let count = task.shape.iter().product();
        let element = match task.operation {
            Operation::Reduce(reduction, axes) => self.reduce(task, &operands[0], reduction, axes)?,
            Operation::ArgReduce(reduction, axis) => self.arg_reduce(task, &operands[0], reduction, axis)?,
            Operation::Concat(axis) => Some(self.concat(task, &operands, axis)?),
            Operation::Gather(axis) => self.gather(task, &operands, axis)?,
            _ => match Launch::of(task, &operands) {
                Some(launch) => Some(self.launched(&launch, &operands, count)?),
                None => None,
            },
        };
        Ok(element.map(|elements| Tensor::away(task.element, task.shape, Arc::new(elements))))
    }

    /// Where the operands are. None if one is here that the device cannot have.
    fn operands(&mut self, task: &Task<'_>) -> Result<Option<Vec<Operand>>, Error> {
        let numbers_do = matches!(task.operation, Operation::Binary(_) | Operation::Choose | Operation::Blend);
        let mut operands = Vec::with_capacity(task.tensors.len());
        for tensor in task.tensors {
            let operand = match Operand::new(tensor) {
                Some(operand @ Operand::There(_)) => operand,
                Some(number) if numbers_do => number,
                _ => match self.send_tensor(tensor)?.as_ref().and_then(Elements::of) {
                    Some(sent) => Operand::There(sent),
                    None => return Ok(None),
                },
            };
            operands.push(operand);
        }
        Ok(Some(operands))
    }

    fn launched(&mut self, launch: &Launch, operands: &[Operand], count: usize) -> Result<Elements, Error> {
        let result = self.fresh(count, launch.bounds)?;
        let place = |operand: &Operand| match operand {
            Operand::There(elements) => Some(elements.buffer.clone()),
            Operand::Number(_) => None,
        };
        let places: Vec<_> = operands.iter().map(place).collect();
        // Where there is a number, nothing is read.
        let any = places.iter().flatten().next().cloned().ok_or_else(foreign)?;
        let places: Vec<_> = places.iter().map(|place| place.as_ref().unwrap_or(&any)).collect();
        self.launch(launch.kernel, launch.pass, launch.params, &places, &result.buffer, launch.grid)?;
        Ok(result)
    }

    /// Each where it belongs.
    fn concat(&mut self, task: &Task<'_>, operands: &[Operand], axis: usize) -> Result<Elements, Error> {
        let bounds = operands.iter().map(Operand::bounds).reduce(Bounds::or).ok_or_else(foreign)?;
        let result = self.fresh(task.shape.iter().product(), bounds)?;
        let to = strides(task.shape);
        let mut begin = 0;
        for (tensor, operand) in task.tensors.iter().zip(operands) {
            // One number among others is one that could not be left here.
            let Operand::There(source) = operand else { return Err(foreign()) };
            let from = strides(tensor.shape());
            let axes: Vec<_> = (0..from.len()).map(|at| (tensor.shape()[at], [from[at], to[at], 0])).collect();
            let params = Params::new(tensor.len(), 0, task.element).with_axes(&axes);
            let params = params.with_numbers([[0, begin as u32, 0, 0]]);
            let grid = Grid::of(tensor.len());
            self.launch(Name::Copy, Pass::Layout, params, &[&source.buffer], &result.buffer, grid)?;
            begin += to[axis] * tensor.shape()[axis];
        }
        Ok(result)
    }

    /// Only where no index can be beyond: a kernel has no errors.
    fn gather(&mut self, task: &Task<'_>, operands: &[Operand], axis: usize) -> Result<Option<Elements>, Error> {
        let [Operand::There(table), Operand::There(indices)] = operands else { return Ok(None) };
        let tensor = task.tensors[0];
        let length = tensor.shape()[axis] as i64;
        if !Bounds::new(-length, length - 1).hold(indices.bounds) {
            return Ok(None);
        }
        let each: usize = tensor.shape()[axis + 1..].iter().product();
        let count = task.shape.iter().product();
        let named = task.tensors[1].len();
        let numbers = [length as u32, each as u32, named as u32, 0];
        let params = Params::new(count, 0, task.element).with_numbers([numbers]);
        let result = self.fresh(count, table.bounds)?;
        let operands = [&table.buffer, &indices.buffer];
        self.launch(Name::Gather, Pass::Layout, params, &operands, &result.buffer, Grid::of(count))?;
        Ok(Some(result))
    }
}
