"""AlexNet with few channels, quick enough for fake GPUs."""

from alexnet import OVERHANG, PAPER_FAN_INS, AlexNet
from minigrad.network import Variant


def two_towers(widths, conv1, conv2, pool5, flat, hidden):
    """One of two towers as in Figure 2 of the paper. widths, hidden: channels and units, both towers together. conv1: (kernel, stride,
    padding). conv2: its kernel. pool5: its stride. flat: pixels behind pool5."""
    c1, c2, c3, c4, c5 = (width // 2 for width in widths)

    def tower(nn, classes):
        return [
            nn.Sequential(
                conv1=nn.Conv2d(3, c1, *conv1),
                relu1=nn.ReLU(),
                norm1=nn.LocalResponseNorm(),
                pool1=nn.MaxPool2d(3, 2),
                conv2=nn.Conv2d(c1, c2, conv2, padding=conv2 // 2),
                relu2=nn.ReLU(),
                norm2=nn.LocalResponseNorm(),
                pool2=nn.MaxPool2d(3, 2),
            ),
            nn.Sequential(
                conv3=nn.Conv2d(2 * c2, c3, 3, padding=1),
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(c3, c4, 3, padding=1),
                relu4=nn.ReLU(),
                conv5=nn.Conv2d(c4, c5, 3, padding=1),
                relu5=nn.ReLU(),
                pool5=nn.MaxPool2d(3, pool5),
            ),
            nn.Sequential(flatten=nn.Flatten(), fc6=nn.Linear(flat * 2 * c5, hidden // 2), relu6=nn.ReLU(), drop6=nn.Dropout(0.5)),
            nn.Sequential(fc7=nn.Linear(hidden, hidden // 2), relu7=nn.ReLU(), drop7=nn.Dropout(0.5)),
            nn.Sequential(fc8=nn.Linear(hidden, classes)),
        ]

    return tower


def one_tower(nn, classes):
    """torchvision's, with 16, 48 and 64 channels."""
    return [
        nn.Sequential(
            conv1=nn.Conv2d(3, 16, 11, stride=4, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, 2),
            conv2=nn.Conv2d(16, 48, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, 2),
            conv3=nn.Conv2d(48, 64, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(64, 64, 3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(64, 64, 3, padding=1),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, 2),
        ),
        nn.Sequential(
            flatten=nn.Flatten(),
            drop5=nn.Dropout(0.5),
            fc6=nn.Linear(2304, 4096),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
            fc7=nn.Linear(4096, 4096),
            relu7=nn.ReLU(),
            fc8=nn.Linear(4096, classes),
        ),
    ]


class Narrow(AlexNet):
    """Four networks in the shape of AlexNet's variants."""

    variants = {
        "tiny": Variant(
            two_towers((12, 16, 16, 8, 16), (3, 1, 1), 3, 3, 4, 32), image_size=32, smallest=28, towers=2, fan_ins=PAPER_FAN_INS
        ),
        "tiny paper": Variant(
            two_towers((8, 12, 16, 8, 8), (11, 4, OVERHANG), 5, 2, 36, 16), image_size=224, towers=2, fan_ins=PAPER_FAN_INS
        ),
        "paper": Variant(two_towers((24, 32, 48, 48, 32), (11, 4, OVERHANG), 5, 2, 36, 4096), image_size=224, towers=2),
        "owt": Variant(one_tower, image_size=224),
    }
