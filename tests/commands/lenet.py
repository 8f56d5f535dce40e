"""LeNet-5: the network of LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998, Figure 2.

As it is taught today: max-pooling for its trained averages, all maps of S2 for each map of C3, logits for its radial basis functions."""

from minigrad.commands import main
from minigrad.network import Init, Network, Variant


def lenet5(nn, classes):
    return [
        nn.Sequential(
            c1=nn.Conv2d(3, 6, 5, padding=2),  # 28 x 28 x 6
            tanh1=nn.Tanh(),
            s2=nn.MaxPool2d(2, stride=2),  # 14 x 14 x 6
            c3=nn.Conv2d(6, 16, 5),  # 10 x 10 x 16
            tanh3=nn.Tanh(),
            s4=nn.MaxPool2d(2, stride=2),  # 5 x 5 x 16
            flatten=nn.Flatten(),  # 400
            c5=nn.Linear(400, 120),  # 120: a convolution over all that is left
            tanh5=nn.Tanh(),
            f6=nn.Linear(120, 84),  # 84
            tanh6=nn.Tanh(),
            out=nn.Linear(84, classes),
        )
    ]


class LeNet(Network):
    """LeNet-5 of 1998, for images of 28 pixels."""

    variants = {"lenet-5": Variant(lenet5, image_size=28, epochs=3, batch_size=16, lr=0.05)}
    inits = {"he": Init(input_scale=1 / 58)}


if __name__ == "__main__":
    main(LeNet)
