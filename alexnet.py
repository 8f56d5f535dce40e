"""AlexNet: the network of Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012.

Each function below lists the layers of one tower, from the image to the scores of the classes; the comments say what one image has become:
rows x columns x channels. `paper` is Figure 2: two towers, on two GPUs in 2012, that exchange channels between stages and nowhere else
(section 3.5). A stage is one `Sequential`; at its beginning a tower sees the channels of all towers.

nn has the layers of `minigrad`: `nn.Conv2d(3, 48, 11)` is a `minigrad.Conv2d` whose weights were drawn as one of the `INITS` says.
classes: how many of the classes this tower has scores for."""

from minigrad.commands import main
from minigrad.network import Init, Network, Variant

# 55 windows of 11 pixels, 4 apart, cover 227 pixels, 3 more than the paper's 224 x 224 images have. The program of 2012 reads zeros there:
# beyond the right and the lower edge. (top, bottom, left, right)
OVERHANG = (0, 3, 0, 3)


def paper(nn, classes):
    """One of the two towers of Figure 2. The other is the same; together they have 60,965,224 parameters."""
    return [
        nn.Sequential(  # 224 x 224 x 3: both towers see the whole image
            conv1=nn.Conv2d(3, 48, 11, stride=4, padding=OVERHANG),  # 55 x 55 x 48
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool1=nn.MaxPool2d(3, stride=2),  # 27 x 27 x 48
            conv2=nn.Conv2d(48, 128, 5, padding=2),  # 27 x 27 x 128: sees the 48 channels of its own tower
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool2=nn.MaxPool2d(3, stride=2),  # 13 x 13 x 128
        ),
        nn.Sequential(  # 13 x 13 x 256: the channels of both towers
            conv3=nn.Conv2d(256, 192, 3, padding=1),  # 13 x 13 x 192
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(192, 192, 3, padding=1),  # 13 x 13 x 192: its own tower's again
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(192, 128, 3, padding=1),  # 13 x 13 x 128
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2),  # 6 x 6 x 128
        ),
        nn.Sequential(  # 6 x 6 x 256
            flatten=nn.Flatten(),  # 9216
            fc6=nn.Linear(9216, 2048),  # 2048
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
        ),
        nn.Sequential(  # 4096
            fc7=nn.Linear(4096, 2048),  # 2048
            relu7=nn.ReLU(),
            drop7=nn.Dropout(0.5),
        ),
        nn.Sequential(  # 4096
            fc8=nn.Linear(4096, classes),  # 500 of the 1000 classes (in 2012 all of them on one GPU: as many weights)
        ),
    ]


def connected(nn, classes):
    """fc6 to fc8 of a single tower, the last three stages of `one_tower` and `half`."""
    return [
        nn.Sequential(  # 6 x 6 x 256
            flatten=nn.Flatten(),  # 9216
            fc6=nn.Linear(9216, 4096),  # 4096
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
        ),
        nn.Sequential(fc7=nn.Linear(4096, 4096), relu7=nn.ReLU(), drop7=nn.Dropout(0.5)),  # 4096
        nn.Sequential(fc8=nn.Linear(4096, classes)),  # 1000 classes
    ]


def one_tower(nn, classes):
    """The paper's network without the split: conv2, conv4 and conv5 see all channels. 62,378,344 parameters."""
    return [
        nn.Sequential(  # 224 x 224 x 3
            conv1=nn.Conv2d(3, 96, 11, stride=4, padding=OVERHANG),  # 55 x 55 x 96
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool1=nn.MaxPool2d(3, stride=2),  # 27 x 27 x 96
            conv2=nn.Conv2d(96, 256, 5, padding=2),  # 27 x 27 x 256
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool2=nn.MaxPool2d(3, stride=2),  # 13 x 13 x 256
        ),
        nn.Sequential(
            conv3=nn.Conv2d(256, 384, 3, padding=1),  # 13 x 13 x 384
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 384, 3, padding=1),  # 13 x 13 x 384
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(384, 256, 3, padding=1),  # 13 x 13 x 256
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2),  # 6 x 6 x 256
        ),
        *connected(nn, classes),
    ]


def half(nn, classes):
    """The one-GPU network that the paper compares its two towers with (section 3.2): half as many kernels in conv1 to conv4, but conv5 and
    the fully connected layers at full width. 59,798,312 parameters."""
    return [
        nn.Sequential(  # 224 x 224 x 3
            conv1=nn.Conv2d(3, 48, 11, stride=4, padding=OVERHANG),  # 55 x 55 x 48
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool1=nn.MaxPool2d(3, stride=2),  # 27 x 27 x 48
            conv2=nn.Conv2d(48, 128, 5, padding=2),  # 27 x 27 x 128
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool2=nn.MaxPool2d(3, stride=2),  # 13 x 13 x 128
        ),
        nn.Sequential(
            conv3=nn.Conv2d(128, 192, 3, padding=1),  # 13 x 13 x 192
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(192, 192, 3, padding=1),  # 13 x 13 x 192
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(192, 256, 3, padding=1),  # 13 x 13 x 256
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2),  # 6 x 6 x 256
        ),
        *connected(nn, classes),
    ]


def owt(nn, classes):
    """The one-tower network of 2014, "owt" (Krizhevsky, "One weird trick for parallelizing convolutional neural networks"), as torchvision
    has it: narrower, without normalisation, conv1 padded by 2, dropout before fc6 and fc7. 61,100,840 parameters."""
    return [
        nn.Sequential(  # 224 x 224 x 3
            conv1=nn.Conv2d(3, 64, 11, stride=4, padding=2),  # 55 x 55 x 64
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2),  # 27 x 27 x 64
            conv2=nn.Conv2d(64, 192, 5, padding=2),  # 27 x 27 x 192
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2),  # 13 x 13 x 192
            conv3=nn.Conv2d(192, 384, 3, padding=1),  # 13 x 13 x 384
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 256, 3, padding=1),  # 13 x 13 x 256
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(256, 256, 3, padding=1),  # 13 x 13 x 256
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2),  # 6 x 6 x 256
        ),
        nn.Sequential(
            flatten=nn.Flatten(),  # 9216
            drop5=nn.Dropout(0.5),
            fc6=nn.Linear(9216, 4096),  # 4096
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
            fc7=nn.Linear(4096, 4096),  # 4096
            relu7=nn.ReLU(),
            fc8=nn.Linear(4096, classes),  # 1000 classes
        ),
    ]


def small(nn, classes):
    """One of two towers for images of 28 to 32 pixels: the paper's network with a quarter of its channels, smaller windows in conv1 and
    conv2, and pool5's three pixels apart, so that 28 to 32 pixels all end as 2 x 2. 531,690 parameters with 10 classes."""
    return [
        nn.Sequential(  # 32 x 32 x 3
            conv1=nn.Conv2d(3, 12, 3, padding=1),  # 32 x 32 x 12
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool1=nn.MaxPool2d(3, stride=2),  # 15 x 15 x 12
            conv2=nn.Conv2d(12, 32, 3, padding=1),  # 15 x 15 x 32
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool2=nn.MaxPool2d(3, stride=2),  # 7 x 7 x 32
        ),
        nn.Sequential(  # 7 x 7 x 64
            conv3=nn.Conv2d(64, 48, 3, padding=1),  # 7 x 7 x 48
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(48, 48, 3, padding=1),  # 7 x 7 x 48
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(48, 32, 3, padding=1),  # 7 x 7 x 32
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=3),  # 2 x 2 x 32
        ),
        nn.Sequential(  # 2 x 2 x 64
            flatten=nn.Flatten(),  # 256
            fc6=nn.Linear(256, 256),  # 256
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
        ),
        nn.Sequential(fc7=nn.Linear(512, 256), relu7=nn.ReLU(), drop7=nn.Dropout(0.5)),  # 256
        nn.Sequential(fc8=nn.Linear(512, classes)),  # 5 of 10 classes
    ]


def small_half(nn, classes):
    """To `small` what `half` is to `paper`: one tower with half of the kernels in conv1 to conv4, the rest at full width."""
    return [
        nn.Sequential(  # 32 x 32 x 3
            conv1=nn.Conv2d(3, 12, 3, padding=1),  # 32 x 32 x 12
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool1=nn.MaxPool2d(3, stride=2),  # 15 x 15 x 12
            conv2=nn.Conv2d(12, 32, 3, padding=1),  # 15 x 15 x 32
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
            pool2=nn.MaxPool2d(3, stride=2),  # 7 x 7 x 32
        ),
        nn.Sequential(
            conv3=nn.Conv2d(32, 48, 3, padding=1),  # 7 x 7 x 48
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(48, 48, 3, padding=1),  # 7 x 7 x 48
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(48, 64, 3, padding=1),  # 7 x 7 x 64
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=3),  # 2 x 2 x 64
        ),
        nn.Sequential(flatten=nn.Flatten(), fc6=nn.Linear(256, 512), relu6=nn.ReLU(), drop6=nn.Dropout(0.5)),  # 512
        nn.Sequential(fc7=nn.Linear(512, 512), relu7=nn.ReLU(), drop7=nn.Dropout(0.5)),  # 512
        nn.Sequential(fc8=nn.Linear(512, classes)),  # 10 classes
    ]


# Starting weights: standard deviations and biases of conv1 to conv5 and fc6 to fc8; whether dropout scales in training or in testing.
INITS = {
    # What the published network was trained with: layer-params-145.cfg of the original program (Computer History Museum, 2025).
    "2012": Init(stds=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), biases=(0, 1, 0, 1, 1, 1, 1, 0), scale_at="test"),
    # What section 5 of the paper says: 0.01 throughout. No run with it is known; fc8's inputs hardly differ from image to image.
    "paper": Init(stds=(0.01,) * 8, biases=(0, 1, 0, 1, 1, 1, 1, 0), scale_at="test"),
    # Caffe's models/bvlc_alexnet (2013).
    "caffe": Init(stds=(0.01,) * 5 + (0.005, 0.005, 0.01), biases=(0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0), scale_at="train"),
    # He et al. 2015, section 2.2: sqrt(2 / fan-in), but for fc8, which no ReLU follows. Meant for inputs with a standard deviation of 1;
    # that of ImageNet's pixels is 58 (0.229 * 255).
    "he": Init(stds=(None,) * 7 + (0.01,), biases=(0,) * 8, scale_at="train", input_scale=1 / 58),
}

# Inputs to one output in conv1 to fc8 of one of the paper's towers: 11 x 11 x 3, 5 x 5 x 48, 3 x 3 x 256, ... `small` has fewer, and its
# weights are made larger accordingly: otherwise nothing of the image would be left at its end.
PAPER_FAN_INS = (363, 1200, 2304, 1728, 1728, 9216, 4096, 4096)

# Section 5: batches of 128, momentum 0.9, weight decay 0.0005, lr 0.01 divided by 10 whenever the validation error stalls, about 90 epochs.
RECIPE = {"epochs": 90, "batch_size": 128, "lr": 0.01, "weight_decay": 5e-4, "schedule": "plateau", "augment": True, "colour_noise": 0.1}
# Found by experiment on Fashion-MNIST; so short a run gains nothing from augmentation.
SHORT_RECIPE = {"epochs": 12, "batch_size": 64, "lr": 0.015, "weight_decay": 1e-3, "schedule": "linear"}

# Printed below `summary`: numbers of parameters that are told of AlexNet, and what they count.
OTHER_TOTALS = """\
Other totals in circulation:
  60,965,224  "60 million": the towers stay apart in conv2, conv4 and conv5 (Caffe's group: 2 counts the same); variant paper
  61,100,840  "61.1 M": torchvision's network, the widths of 2014; variant owt
  62,378,344  one tower throughout, no groups; variant one-tower
  62,367,776  the same, weights without biases ("62.37 M")
  62,369,155  a common slip: 62,367,776 + 1,376 biases of the convolutions + 3, one for each fully connected layer instead of 9,192
  650,000     neurons: 659,272 convolutional and fully connected outputs; Figure 2's own list begins with 253,440, a slip for 290,400"""


class AlexNet(Network):
    """The network of 2012 and four relatives.

    variant: "paper" (two towers), "one-tower", "owt" (torchvision's), "half" (the paper's one-GPU comparison), "small" (two towers, for
    images of 28 to 32 pixels). init: "2012" (the original program's), "paper" (its section 5), "caffe", "he".
    The rest is `Network`'s; images are (N, 224, 224, 3) but for "small"."""

    variants = {
        "paper": Variant(paper, image_size=224, towers=2, halved=half, **RECIPE),
        "one-tower": Variant(one_tower, image_size=224, **RECIPE),
        "owt": Variant(owt, image_size=224, **RECIPE),
        "half": Variant(half, image_size=224, **RECIPE),
        "small": Variant(small, image_size=32, smallest=28, largest=40, towers=2, fan_ins=PAPER_FAN_INS, halved=small_half, **SHORT_RECIPE),
    }
    inits = INITS
    num_classes = 1000
    remarks = OTHER_TOTALS


def command():
    """The installed command `alexnet`."""
    main(AlexNet)


if __name__ == "__main__":
    command()
